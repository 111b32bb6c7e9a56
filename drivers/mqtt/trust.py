"""How far an instrument's values can be trusted at this moment, by what it last said of itself."""

from collections.abc import Sequence

from drivers.mqtt.paths import MISSING, Path
from drivers.mqtt.trust_options import RANGE, StatusOptions
from drivers.values import GOOD, NUMBER, TEXT_MAX, as_text
from gateway.core.model import BAD_FROM, UNCERTAIN_FROM, Quality

BAD = int(BAD_FROM)
UNCERTAIN = int(UNCERTAIN_FROM)
DOUBTFUL = int(Quality.CLOCK_DOUBTFUL)


def worst(codes: Sequence[int]) -> int:
    """Return the first BAD code, else the first that is in doubt, else GOOD.

    >>> worst([0, 64, 132, 130]), worst([0, 68, 64]), worst([0])
    (132, 68, 0)
    """
    doubt = GOOD
    for code in codes:
        if code >= BAD:
            return code
        if code >= UNCERTAIN and doubt == GOOD:
            doubt = code
    return doubt


class Source:
    """Something that speaks of an instrument's values: a status, or a heartbeat.

    Attributes:
        code: The quality it now means, as a code; GOOD where it means none.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self._heard_by: list[Trust] = []

    def tell(self, listener: "Trust") -> None:
        """From now on tell this channel of every change."""
        self._heard_by.append(listener)

    def mean(self, code: int) -> None:
        """Take another meaning."""
        if code != self.code:
            self.code = code
            for listener in self._heard_by:
                listener.refresh()


class Trust:
    """What all sources together say of one channel.

    Attributes:
        code: The quality, as a code; GOOD where nothing speaks against a value.
    """

    __slots__ = ("_sources", "code")

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self.code = GOOD

    def listen(self, source: Source) -> None:
        """Take another source into account; an earlier one outranks a later one of the same class."""
        self._sources.append(source)
        source.tell(self)
        self.refresh()

    def refresh(self) -> None:
        """Look at all sources again."""
        self.code = worst([source.code for source in self._sources])


class Status(Source):
    """One status of an instrument; what it last said holds until it says something else, or may have.

    Attributes:
        path, field, column: Where it stands in a payload.
        whole: The payload itself, or the text within it, is the status.
        optional: See `StatusOptions.optional`.
    """

    def __init__(self, options: StatusOptions) -> None:
        super().__init__(int(options.assume))
        self.path = Path(options.path) if options.path else None
        self.field = options.field
        self.column = options.column
        self.whole = not (options.path or options.field or options.column is not None)
        self.optional = options.optional
        self._assume = int(options.assume)
        self._missed = False
        self._other = int(options.other)
        self._flags = [(bit, int(quality)) for bit, quality in options.flags.items()]
        self._texts: dict[str, int] = {}
        self._numbers: dict[float, int] = {}
        self._spans: list[tuple[float, float, int]] = []
        for text, quality in options.values.items():
            if (span := RANGE.fullmatch(text)) is not None:
                self._spans.append((float(span[1]), float(span[2]), int(quality)))
            elif NUMBER.fullmatch(text):
                self._numbers[float(text)] = int(quality)
            else:
                self._texts[text] = int(quality)

    def told(self, raw: object) -> None:
        """Take what a payload holds in its place."""
        self._missed = False
        if raw is not MISSING:
            self.mean(self.judge(raw))
        elif not self.optional:
            self.mean(self._assume)

    def remembered(self, raw: object) -> bool:
        """Take what the broker has kept: it is believed where it speaks against a value, for it may be of any age.

        A good one is believed where it was good before the connection was lost: nothing else was told meanwhile.

        Returns:
            Whether it was believed.
        """
        code = GOOD if raw is MISSING else self.judge(raw)
        if code == GOOD and (raw is MISSING or not self._missed):
            return False
        self._missed = False
        self.mean(code)
        return True

    def miss(self) -> None:
        """Take that nobody listened for a while: a good word from before may have been taken back."""
        self._missed = self._missed or self.code == GOOD
        self.mean(worst([self.code, self._assume]))

    def doubt(self) -> None:
        """Take that the instrument was gone: it may have been started anew, and no good word from before counts."""
        self._missed = False
        self.mean(worst([self.code, self._assume]))

    def deny(self) -> None:
        """Take that nothing will ever be told, because the broker refuses the topic."""
        self._assume = worst([self._assume, UNCERTAIN])
        self.mean(self._assume)

    def judge(self, raw: object) -> int:
        """Return the quality that a value of the status means; never raises, whatever `raw` is."""
        kind = type(raw)
        if kind is bool:
            return self._texts.get(as_text(raw), self._other)
        if kind is str:
            text = raw.strip().lower() if len(raw) <= TEXT_MAX else ""  # type: ignore[arg-type,attr-defined]  # a str
            if text in self._texts or not NUMBER.fullmatch(text):
                return self._texts.get(text, self._other)
            return self._number(float(text))
        if kind is int or kind is float:
            return self._number(raw)  # type: ignore[arg-type]  # mypy does not narrow by `type(...) is`
        return self._other

    def _number(self, number: float) -> int:
        found = self._numbers.get(number)
        if found is None:
            found = next((code for low, high, code in self._spans if low <= number <= high), None)
        if not self._flags:
            return self._other if found is None else found
        if number < 0 or number != number // 1 or number >= 1 << 64:
            return self._other
        word = int(number)
        return worst([found or GOOD, *(code for bit, code in self._flags if word >> bit & 1)])


def weigh(value: float, quality: int, code: int) -> tuple[float, int]:
    """Return a value and its quality in the light of what is said of its channel.

    BAD leaves no value. A doubt is put on a value that is GOOD, or whose only fault is its clock; a value's own doubt
    (over range) says more.
    """
    if code >= BAD:
        return float("nan"), code
    if code and (quality in {GOOD, DOUBTFUL}):
        return value, code
    return value, quality
