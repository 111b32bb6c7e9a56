"""The life of alarms, line by line; every story is told twice, the second time with a restart after every line."""

from collections.abc import Callable
from typing import Any

Tell = Callable[[str], Any]


def test_a_gas_alarm_is_held_until_it_is_acknowledged_and_reset(tell: Tell):
    tell("""
        1   gas low        gas raised unacked low/low sound first | loud
        2   gas normal     gas returned latched_unacked low/normal first | loud
        3   reset gas      refused: gas is latched unacked: acknowledge it first, then reset it
        4   ack gas        gas acknowledged latched_acked low/normal first | mute
        5   reset gas      gas reset normal normal/normal | mute
        6   recheck gas    -
    """)


def test_a_reset_with_gas_still_there_brings_the_alarm_back_with_the_next_evaluation(tell: Tell):
    story = tell("""
        1   gas high       gas raised unacked high/high sound first | loud
        2   reset gas      refused: gas is unacked: acknowledge it first
        3   ack gas        gas acknowledged acked high/high first | mute
        4   reset gas      gas reset normal normal/high | mute
        5   recheck gas    gas raised unacked high/high sound first #2 | loud
        6   recheck gas    -
    """)
    assert story.said[-1].why == "CH4 at 61.5 %LEL is still HIGH after the reset limit 50"
    assert story.book.rechecks == frozenset()


def test_a_changed_level_before_the_recheck_brings_the_alarm_back_too(tell: Tell):
    tell("""
        1   gas low        gas raised unacked low/low sound first
        2   ack gas        gas acknowledged acked low/low first
        3   reset gas      gas reset normal normal/low
        4   gas high       gas raised unacked high/high sound first #2 | loud
        5   recheck gas    -
        6   ack gas        gas acknowledged acked high/high first #2
        7   reset gas      gas reset normal normal/high #2
        8   gas low        gas raised unacked low/low sound first #3 | loud
    """)


def test_gas_that_goes_between_reset_and_evaluation_is_told_and_does_not_come_back(tell: Tell):
    tell("""
        1   gas low        gas raised unacked low/low sound first
        2   ack gas        gas acknowledged acked low/low first
        3   reset gas      gas reset normal normal/low
        4   gas normal     gas cleared normal normal/normal
        5   recheck gas    -
    """)


def test_a_process_alarm_ends_when_it_is_both_gone_and_acknowledged(tell: Tell):
    tell("""
        1   temp low       temp raised unacked low/low sound first
        2   ack temp       temp acknowledged acked low/low first
        3   reset temp     refused: temp is acked: it is not latched and ends by itself
        4   temp normal    temp cleared normal normal/normal
        5   temp low       temp raised unacked low/low sound first #2
        6   temp normal    temp returned returned low/normal first #2 | loud
        7   reset temp     refused: temp is returned: it is not latched; acknowledge it
        8   ack temp       temp acknowledged normal normal/normal #2 | mute
    """)


def test_a_value_that_leaves_and_comes_again_is_a_new_unacknowledged_occurrence(tell: Tell):
    tell("""
        1   temp low       temp raised unacked low/low sound first
        2   temp normal    temp returned returned low/normal first
        3   temp low       temp raised unacked low/low sound first #2
        4   gas low        gas raised unacked low/low sound
        5   ack gas        gas acknowledged acked low/low
        6   gas normal     gas returned latched_acked low/normal
        7   gas low        gas raised unacked low/low sound #2 | loud
    """)


def test_a_rise_to_high_sounds_again_whatever_was_acknowledged(tell: Tell):
    tell("""
        1   gas low        gas raised unacked low/low sound first
        2   ack gas        gas acknowledged acked low/low first | mute
        3   gas high       gas escalated unacked high/high sound first | loud
        4   ack gas        gas acknowledged acked high/high first | mute
        5   gas normal     gas returned latched_acked high/normal first | mute
        6   gas high       gas raised unacked high/high sound first #2 | loud
    """)


def test_the_first_jump_straight_to_high_sounds(tell: Tell):
    tell("""
        1   gas high       gas raised unacked high/high sound first | loud
        2   ack gas        gas acknowledged acked high/high first
        3   gas normal     gas returned latched_acked high/normal first
        4   reset gas      gas reset normal normal/normal
        5   gas high       gas raised unacked high/high sound first #2 | loud
    """)


def test_a_latched_alarm_shows_the_peak_and_a_process_alarm_shows_the_present_level(tell: Tell):
    tell("""
        1   gas high       gas raised unacked high/high sound first
        2   gas low        gas de_escalated unacked high/low first
        3   temp high      temp raised unacked high/high sound
        4   temp low       temp de_escalated unacked low/low
    """)


def test_gas_that_rises_again_to_an_acknowledged_peak_sounds_again(tell: Tell):
    tell("""
        1   gas high       gas raised unacked high/high sound first
        2   ack gas        gas acknowledged acked high/high first
        3   gas low        gas de_escalated acked high/low first | mute
        4   gas high       gas escalated unacked high/high sound first | loud
    """)


def test_an_instrument_that_fails_during_an_alarm_lowers_nothing_and_sounds(tell: Tell):
    tell("""
        1   gas high       gas raised unacked high/high sound first
        2   ack gas        gas acknowledged acked high/high first | mute
        3   gas fault      gas escalated unacked high/fault sound first | loud
        4   gas normal     gas returned latched_unacked high/normal first
        5   temp low       temp raised unacked low/low sound
        6   temp fault     temp escalated unacked low/fault sound
        7   temp normal    temp returned returned low/normal
    """)


def test_a_fault_of_a_gas_head_is_not_latched_and_gas_out_of_a_fault_is(tell: Tell):
    tell("""
        1   gas fault      gas raised unacked fault/fault sound
        2   ack gas        gas acknowledged acked fault/fault
        3   gas normal     gas cleared normal normal/normal
        4   gas fault      gas raised unacked fault/fault sound #2
        5   ack gas        gas acknowledged acked fault/fault #2
        6   gas low        gas escalated unacked low/low sound first #2 | loud
        7   gas normal     gas returned latched_unacked low/normal first #2
    """)


def test_a_warning_is_listed_and_neither_sounds_nor_latches_nor_is_first_of_its_area(tell: Tell):
    tell("""
        1   gas warning    gas raised unacked warning/warning | mute
        2   gas2 low       gas2 raised unacked low/low sound first | loud
        3   gas fault      gas escalated unacked fault/fault sound | loud
        4   gas warning    gas de_escalated unacked warning/warning | loud
        5   ack gas2       gas2 acknowledged acked low/low first | loud
        6   ack gas        gas acknowledged acked warning/warning | mute
        7   gas normal     gas cleared normal normal/normal | mute
        8   gas warning    gas raised unacked warning/warning #2 | mute
        9   gas normal     gas returned returned warning/normal #2 | mute
        10  ack gas        gas acknowledged normal normal/normal #2
    """)


def test_a_hazard_that_sinks_to_a_warning_stays_latched_and_its_sound_goes_on(tell: Tell):
    tell("""
        1   gas high       gas raised unacked high/high sound first | loud
        2   gas warning    gas de_escalated unacked high/warning first | loud
        3   ack gas        gas acknowledged acked high/warning first | mute
        4   gas normal     gas returned latched_acked high/normal first | mute
        5   gas warning    gas raised unacked high/warning first #2 | mute
        6   gas high       gas escalated unacked high/high sound first #2 | loud
    """)


def test_a_warning_comes_back_from_being_put_aside_without_a_sound(tell: Tell):
    tell("""
        1   gas warning    gas raised unacked warning/warning | mute
        2   shelve gas 60  gas shelved shelved warning/warning | mute
        3   unshelve gas   gas unshelved unacked warning/warning | mute
        4   shelve gas 60  gas shelved shelved warning/warning | mute
        5   gas low        gas unshelved unacked warning/warning; gas escalated unacked low/low sound first | loud
        6   out gas        gas out_of_service out_of_service low/low | mute
        7   gas warning    gas de_escalated out_of_service low/warning | mute
        8   back gas       gas returned_to_service unacked low/warning sound first | loud
    """)


def test_silence_stops_the_sound_of_all_and_neither_acknowledges_nor_resets(tell: Tell):
    story = tell("""
        1   gas low        gas raised unacked low/low sound first | loud
        2   smoke high     smoke raised unacked high/high sound first | loud
        3   silence        site silenced | mute
        4   silence        - | mute
        5   gas normal     gas returned latched_unacked low/normal first | mute
        6   gas2 low       gas2 raised unacked low/low sound | loud
        7   ack gas2       gas2 acknowledged acked low/low | mute
        8   gas low        gas raised unacked low/low sound first #2 | loud
    """)
    silenced = {alarm.id: alarm.silenced for alarm in story.book.alarms()}
    assert silenced == {"gas": False, "smoke": True, "gas2": False}


def test_acknowledging_twice_does_nothing_and_is_no_error(tell: Tell):
    tell("""
        1   gas low        gas raised unacked low/low sound first
        2   ack gas        gas acknowledged acked low/low first
        3   ack gas        -
        4   gas normal     gas returned latched_acked low/normal first
        5   ack gas        -
    """)


def test_a_normal_alarm_refuses_what_makes_no_sense_and_lets_itself_be_put_aside(tell: Tell):
    tell("""
        1   ack gas           refused: gas is normal: there is nothing to acknowledge
        2   reset gas         refused: gas is normal: there is nothing to reset
        3   unshelve gas      refused: gas is normal: it is not shelved
        4   back gas          refused: gas is normal: it is in service
        5   ack nosuch        refused: there is no alarm named 'nosuch'
        6   shelve gas 60     gas shelved shelved normal/normal
        7   out smoke         smoke out_of_service out_of_service normal/normal
    """)


def test_the_first_alarm_of_an_area_stays_first_until_the_area_is_normal(tell: Tell):
    tell("""
        1   gas fault      gas raised unacked fault/fault sound
        2   gas2 low       gas2 raised unacked low/low sound first
        3   gas low        gas escalated unacked low/low sound
        4   smoke low      smoke raised unacked low/low sound first
        5   temp high      temp raised unacked high/high sound
        6   ack gas2       gas2 acknowledged acked low/low first
        7   gas2 normal    gas2 returned latched_acked low/normal first
        8   reset gas2     gas2 reset normal normal/normal first
        9   gas high       gas escalated unacked high/high sound
        10  gas2 low       gas2 raised unacked low/low sound first #2
        11  ack gas2       gas2 acknowledged acked low/low first #2
        12  gas2 normal    gas2 returned latched_acked low/normal first #2
        13  reset gas2     gas2 reset normal normal/normal first #2
        14  temp normal    temp returned returned high/normal
        15  ack temp       temp acknowledged normal normal/normal
        16  gas normal     gas returned latched_unacked high/normal
        17  ack gas        gas acknowledged latched_acked high/normal
        18  reset gas      gas reset normal normal/normal
        19  temp low       temp raised unacked low/low sound first #2
        20  gas2 low       gas2 raised unacked low/low sound #3
    """)


def test_a_first_alarm_put_aside_keeps_its_flag_while_others_are_there_and_blocks_nobody_after(tell: Tell):
    story = tell("""
        1   gas low           gas raised unacked low/low sound first
        2   temp low          temp raised unacked low/low sound
        3   out gas           gas out_of_service out_of_service low/low first
        4   temp normal       temp returned returned low/normal
        5   ack temp          temp acknowledged normal normal/normal
        6   temp low          temp raised unacked low/low sound first #2
    """)
    assert {alarm.id: alarm.event.first for alarm in story.book.alarms()} == {"temp": True, "gas": False}
    (event,) = story.act(0, ["back", "gas"])
    assert (event.state, event.first) == ("unacked", False)


def test_a_shelved_alarm_is_quiet_and_returns_loud_when_the_time_is_over(tell: Tell):
    tell("""
        1     gas low          gas raised unacked low/low sound first
        2     shelve gas 60    gas shelved shelved low/low | mute
        3     ack gas          refused: gas is shelved: unshelve it first
        4     reset gas        refused: gas is shelved: a shelving survives a reset
        5     gas normal       gas returned shelved low/normal | mute
        6     gas low          gas raised shelved low/low #2 | mute
        61    wait             - | mute
        62    wait             gas unshelved unacked low/low sound first #2 | loud
        63    wait             -
    """)


def test_a_shelving_ends_latched_where_gas_was_there_and_normal_where_nothing_holds(tell: Tell):
    tell("""
        1     shelve gas 60    gas shelved shelved normal/normal
        2     shelve temp 60   temp shelved shelved normal/normal
        3     gas low          gas raised shelved low/low
        4     temp low         temp raised shelved low/low
        5     gas normal       gas returned shelved low/normal
        6     temp normal      temp returned shelved low/normal
        99    wait             gas unshelved latched_unacked low/normal sound first; temp unshelved normal normal/normal
    """)


def test_a_person_ends_a_shelving_and_may_shelve_again_while_it_runs(tell: Tell):
    tell("""
        1     shelve gas 60    gas shelved shelved normal/normal
        2     shelve gas 600   gas shelved shelved normal/normal
        100   wait             -
        101   unshelve gas     gas unshelved normal normal/normal
        102   back gas         refused: gas is normal: it is in service
    """)


def test_a_rise_above_what_was_shelved_ends_the_shelving_at_once(tell: Tell):
    tell("""
        1     gas low          gas raised unacked low/low sound first
        2     shelve gas 600   gas shelved shelved low/low | mute
        3     gas high         gas unshelved unacked low/low sound first
                               ; gas escalated unacked high/high sound first | loud
        4     shelve gas 600   gas shelved shelved high/high | mute
        5     gas low          gas de_escalated shelved high/low | mute
        6     gas high         gas escalated shelved high/high | mute
        7     gas fault        gas escalated shelved high/fault | mute
    """)


def test_high_breaks_a_shelving_of_a_normal_alarm_and_gas_breaks_a_shelved_fault(tell: Tell):
    tell("""
        1     shelve gas 600   gas shelved shelved normal/normal
        2     gas high         gas unshelved normal normal/normal; gas raised unacked high/high sound first | loud
        3     gas2 fault       gas2 raised unacked fault/fault sound
        4     shelve gas2 600  gas2 shelved shelved fault/fault
        5     gas2 low         gas2 unshelved unacked fault/fault sound; gas2 escalated unacked low/low sound
    """)


def test_out_of_service_never_ends_by_itself_and_survives_everything_but_its_return(tell: Tell):
    tell("""
        1        gas low          gas raised unacked low/low sound first
        2        out gas          gas out_of_service out_of_service low/low | mute
        3        reset gas        refused: gas is out of service: out of service survives a reset
        4        ack gas          refused: gas is out of service: return it to service first
        5        shelve gas 60    refused: gas is out of service: out of service is more than shelved
        6        out gas          gas out_of_service out_of_service low/low | mute
        7        gas high         gas escalated out_of_service low/high | mute
        999999   wait             - | mute
        1000000  gas normal       gas returned out_of_service low/normal | mute
        1000001  back gas         gas returned_to_service latched_unacked low/normal sound first | loud
    """)


def test_a_test_gas_while_out_of_service_leaves_nothing_behind_and_gas_still_there_sounds(tell: Tell):
    tell("""
        1   out gas          gas out_of_service out_of_service normal/normal
        2   gas high         gas raised out_of_service normal/high
        3   gas normal       gas returned out_of_service normal/normal
        4   back gas         gas returned_to_service normal normal/normal
    """)
    tell("""
        1   out gas          gas out_of_service out_of_service normal/normal
        2   gas high         gas raised out_of_service normal/high
        3   back gas         gas returned_to_service unacked high/high sound first | loud
    """)


def test_suppression_by_the_sites_logic_is_listed_and_ends_by_the_present_condition(tell: Tell):
    story = tell("""
        1   suppress temp    temp suppressed suppressed normal/normal
        2   temp high        temp raised suppressed normal/high | mute
        3   ack temp         refused: temp is suppressed: the site's own logic suppresses it
        4   suppress temp    -
        5   unsuppress temp  temp unsuppressed unacked high/high sound first | loud
        6   unsuppress temp  -
        7   suppress temp    temp suppressed suppressed high/high
        8   out temp         temp out_of_service out_of_service high/high
        9   unsuppress temp  -
        10  suppress temp    -
    """)
    assert [alarm.id for alarm in story.book.alarms()] == ["temp"]


def test_a_system_alarm_follows_its_source_and_its_priority_is_its_level(tell: Tell):
    tell("""
        1   sys off          -
        2   sys on           system/disk raised unacked fault/fault sound | loud
        3   sys on           -
        4   ack system/disk  system/disk acknowledged acked fault/fault | mute
        5   sys on 2         system/disk escalated unacked fault/fault sound | loud
        6   sys on 3         system/disk de_escalated unacked fault/fault
        7   sys off          system/disk returned returned fault/normal
        8   sys off          -
        9   ack system/disk  system/disk acknowledged normal normal/normal
        10  sys on           system/disk raised unacked fault/fault sound #2
        11  reset system/disk  refused: system/disk is unacked: acknowledge it first
    """)


def test_a_shelved_system_alarm_stays_quiet_until_it_gets_more_urgent(tell: Tell):
    tell("""
        1   sys on                 system/disk raised unacked fault/fault sound
        2   shelve system/disk 60  system/disk shelved shelved fault/fault | mute
        3   sys on 4               - | mute
        4   sys off                system/disk returned shelved fault/normal
        5   sys on 4               system/disk raised shelved fault/fault #2 | mute
        6   sys on 3               - | mute
        7   sys on 2               system/disk unshelved unacked fault/fault sound #2
                                   ; system/disk escalated unacked fault/fault sound #2 | loud
        8   out system/disk        system/disk out_of_service out_of_service fault/fault #2
        9   sys on 1               -
    """)
    tell("""
        1   sys on                 system/disk raised unacked fault/fault sound
        2   sys off                system/disk returned returned fault/normal
        3   ack system/disk        system/disk acknowledged normal normal/normal
        4   shelve system/disk 60  system/disk shelved shelved normal/normal
        5   sys on 2               system/disk raised shelved fault/fault #2 | mute
        6   sys off                system/disk returned shelved fault/normal #2
        7   unshelve system/disk   system/disk unshelved normal normal/normal #2
        8   shelve system/disk 60  system/disk shelved shelved normal/normal #2
        9   sys on 1               system/disk unshelved normal normal/normal #2
                                   ; system/disk raised unacked fault/fault sound #3 | loud
    """)


def test_only_an_alarm_without_any_real_reading_counts_as_a_test(tell: Tell):
    tell("""
        1   gas test-low     gas raised unacked low/low sound first test
        2   ack gas          gas acknowledged acked low/low first test
        3   gas test-high    gas escalated unacked high/high sound first test
        4   gas normal       gas returned latched_unacked high/normal first
        5   gas test-low     gas raised unacked high/low sound first #2
    """)
