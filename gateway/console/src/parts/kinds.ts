// What can happen to an alarm, as the journal says it.
import { texts } from "../text";

const words = texts({
  en: {
    raised: "raised", escalated: "rose", de_escalated: "fell", returned: "condition gone", cleared: "over", acknowledged: "acknowledged", reset: "reset",
    silenced: "silenced", shelved: "shelved", unshelved: "unshelved", suppressed: "suppressed", unsuppressed: "no longer suppressed",
    out_of_service: "out of service", returned_to_service: "back in service", case: "response", calibrated: "calibrated", refused: "refused",
    account: "account", handover: "handover", relearnt: "learned anew", note: "note",
  },
  zh: {
    raised: "报警", escalated: "升级", de_escalated: "降级", returned: "恢复", cleared: "结束", acknowledged: "确认", reset: "复位",
    silenced: "消音", shelved: "搁置", unshelved: "取消搁置", suppressed: "抑制", unsuppressed: "解除抑制",
    out_of_service: "停用", returned_to_service: "恢复使用", case: "处置", calibrated: "标定", refused: "拒绝",
    account: "账号", handover: "交接班", relearnt: "重新学习", note: "记事",
  },
});

export const kindWord = (kind: string): string => (words() as Record<string, string>)[kind] ?? kind.replaceAll("_", " ");
