"""The one settings loader: what this machine and its user say, and where each value came from.

    explicit argument > environment > .env > onetape.toml > default

`.env` and `onetape.toml` lie in the checkout. An empty value counts as not given. Every secret can be given
as a file instead (`OPENAI_API_KEY_FILE=/run/secrets/openai`), in the environment, in `.env` and in
`onetape.toml`; the secret itself is refused in `onetape.toml`, which is committed. Only the standard library
is imported here, so that a door's `--help` and the live process pay nothing for it.
"""

import difflib
import os
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from data.errors import ConfigError

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "ONETAPE_"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MASK = "********"

# Names with our prefix that steer the set-up and the tests, not the program.
OTHER_NAMES = frozenset({"ONETAPE_INSTALLER", "ONETAPE_SHARED"})


class Secret:
    """A value that shows itself only when asked by name: `repr` and `format` show a mask, `pickle` fails."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """The secret in the clear: for the call that sends it, and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def _text(value: str) -> str:
    return value


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _path_or_off(value: str) -> Path | None:
    return None if value.lower() == "off" else _path(value)


def _log_level(value: str) -> str:
    if value.upper() not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
    return value.upper()


def _address(value: str) -> str:
    scheme, mark, rest = value.partition("://")
    if not (scheme and mark and rest):
        raise ValueError("an address such as https://host or http://127.0.0.1:8000")
    return value.rstrip("/")


def _present(value: str) -> bool:
    return value.lower() != "false"  # NO_COLOR=anything means yes; a TOML false arrives as "False"


def _setting(*names: str, parse: Callable[[str], Any] = _text, default: Any = None) -> Any:
    """A field read from the first of `names` that is given."""
    return field(default=default, metadata={"names": names, "parse": parse, "secret": parse is Secret})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything the rooms read from outside; `origin[name]` says where a value came from."""

    apca_api_key_id: Secret | None = _setting("APCA_API_KEY_ID", parse=Secret)
    apca_api_secret_key: Secret | None = _setting("APCA_API_SECRET_KEY", parse=Secret)
    apca_api_base_url: str | None = _setting("APCA_API_BASE_URL", parse=_address)
    apca_data_url: str | None = _setting("APCA_API_DATA_URL", parse=_address)
    apca_stream_url: str | None = _setting("APCA_API_STREAM_URL", parse=_address)
    massive_api_key: Secret | None = _setting("MASSIVE_API_KEY", "POLYGON_API_KEY", parse=Secret)
    massive_base_url: str | None = _setting("MASSIVE_BASE_URL", "POLYGON_BASE_URL", parse=_address)
    massive_stream_url: str | None = _setting("MASSIVE_STREAM_URL", "POLYGON_STREAM_URL", parse=_address)
    robinhood_mcp_url: str | None = _setting("ROBINHOOD_MCP_URL", parse=_address)
    robinhood_api_url: str | None = _setting("ROBINHOOD_API_URL", parse=_address)
    openai_api_key: Secret | None = _setting("OPENAI_API_KEY", parse=Secret)
    openai_base_url: str | None = _setting("OPENAI_BASE_URL", parse=_address)
    rh_username: Secret | None = _setting("RH_USERNAME", parse=Secret)
    rh_password: Secret | None = _setting("RH_PASSWORD", parse=Secret)
    rh_mfa_secret: Secret | None = _setting("RH_MFA_SECRET", parse=Secret)
    # Addresses of services carry a password inside, so they are secrets whole.
    database_url: Secret | None = _setting("DATABASE_URL", parse=Secret)
    redis_url: Secret | None = _setting("REDIS_URL", parse=Secret)
    amqp_url: Secret | None = _setting("AMQP_URL", "RABBITMQ_URL", parse=Secret)
    # Where alerts go, one or more addresses as apprise spells them: tgram://..., mailto://..., json://...
    alert_urls: Secret | None = _setting("ALERT_URLS", parse=Secret)
    otel_endpoint: str | None = _setting("OTEL_EXPORTER_OTLP_ENDPOINT", parse=_address)
    # Shares of one unit of quoted size, with dates: see data/sources/lots.py.
    alpaca_lot: str = _setting("ONETAPE_ALPACA_LOT", default="100")
    polygon_lot: str = _setting("ONETAPE_POLYGON_LOT", default="1")
    # What `python -m live sandbox` prints: the time of its tape, for programs that must know it.
    rehearsal: str | None = _setting("ONETAPE_REHEARSAL")
    log_level: str = _setting("ONETAPE_LOG_LEVEL", "LOG_LEVEL", parse=_log_level, default="INFO")
    no_color: bool = _setting("NO_COLOR", parse=_present, default=False)
    # Relative paths are relative to the checkout, wherever the program was started.
    store: Path = _setting("ONETAPE_STORE", parse=_path, default=Path("data/store"))
    runs: Path = _setting("ONETAPE_RUNS", parse=_path, default=Path("backtests/runs"))
    # Every evaluation is appended to it; None (`off`): nothing is.
    ledger: Path | None = _setting("ONETAPE_LEDGER", parse=_path_or_off, default=Path("research/trials.db"))

    origin: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


class SettingRow(NamedTuple):
    """One line of `config show --sources`."""

    name: str
    variable: str
    value: str
    source: str


class _Layer(NamedTuple):
    """Names as the environment spells them, and what to call the place they come from."""

    label: str
    values: Mapping[str, str]


def load_settings(root: Path | None = None, environ: Mapping[str, str] | None = None, **explicit: Any) -> Settings:
    """The settings in force, each from the first place that gives it.

    Args:
        root: folder of `.env` and `onetape.toml`, base of relative paths; default: the checkout.
        environ: default: the process's environment.
        explicit: fields by name, as a command line gives them; None means not given.

    Raises:
        ConfigError: an unknown name, a value that does not parse, an unreadable file, a secret in
            `onetape.toml`.
    """
    root = CHECKOUT if root is None else root
    specs = {spec.name: spec for spec in fields(Settings) if spec.metadata}
    for name in explicit:
        if name not in specs:
            raise ConfigError(f"there is no setting {name!r}{_did_you_mean(name, specs)}")

    layers = [
        _Layer("environment", os.environ if environ is None else environ),
        _Layer(".env", _read_dotenv(root / ".env")),
        _Layer("onetape.toml", _read_toml(root / "onetape.toml", specs)),
    ]
    _warn_unknown(layers[:2], specs)

    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, spec in specs.items():
        raw, origin[name] = explicit.get(name), "argument"
        if raw is None:
            raw, origin[name] = next(_given(spec, layers, root), (None, "default"))
        value = spec.default if raw is None else _parse(spec, raw, origin[name])
        values[name] = root / value if isinstance(value, Path) else value
    return Settings(**values, origin=origin)


def describe_settings(settings: Settings) -> list[SettingRow]:
    """Every setting with its masked value and the place it came from, in the order of the fields."""
    rows = []
    for spec in fields(settings):
        if not spec.metadata:
            continue
        value = getattr(settings, spec.name)
        source = settings.origin.get(spec.name, "argument")
        if value is None:
            value, source = "", "not set" if source == "default" else source
        rows.append(SettingRow(spec.name, spec.metadata["names"][0], str(value), source))
    return rows


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that give another process these settings, secrets in the clear: for its environment only."""
    given = {spec.metadata["names"][0]: getattr(settings, spec.name) for spec in fields(settings) if spec.metadata}
    plain = {name: value.get_secret_value() if isinstance(value, Secret) else value for name, value in given.items()}
    return {name: str(value) for name, value in plain.items() if value is not None and value is not False}


def _given(spec: Field[Any], layers: list[_Layer], root: Path) -> Iterator[tuple[str, str]]:
    """(value, source) of each layer that gives the setting, strongest first."""
    for layer in layers:
        found = [each for name in spec.metadata["names"] for each in _read_name(spec, name, layer, root)]
        if len({value for value, _ in found}) > 1:
            names = " and ".join(source for _, source in found)
            warnings.warn(f"{names} differ; {found[0][1]} is used", UserWarning, stacklevel=4)
        if found:
            yield found[0]


def _read_name(spec: Field[Any], name: str, layer: _Layer, root: Path) -> Iterator[tuple[str, str]]:
    """(value, source) of one name in one layer: given there, or in the file it points to."""
    value = layer.values.get(name, "")
    pointer = layer.values.get(f"{name}_FILE", "") if spec.metadata["secret"] else ""
    if value and pointer:
        raise ConfigError(f"{layer.label} gives both {name} and {name}_FILE; keep one")
    if value:
        yield value, f"{layer.label} {name}"
    elif pointer:
        yield _read_secret(root / Path(pointer).expanduser(), f"{name}_FILE"), f"{layer.label} {name}_FILE"


def _read_secret(path: Path, name: str) -> str:
    try:
        value = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} names {path}, which cannot be read ({_reason(error)})") from None
    if not value:
        raise ConfigError(f"{name} names {path}, which is empty")
    return value


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    from dotenv.parser import parse_stream

    values = {}
    try:
        with path.open(encoding="utf-8") as stream:
            for binding in parse_stream(stream):
                if binding.error:
                    # The line is not quoted: it may hold half a secret.
                    raise ConfigError(f"{path.name} line {binding.original.line} is not NAME=value")
                if binding.key and binding.value is not None:
                    values[binding.key] = binding.value
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({_reason(error)})") from None
    return values


def _read_toml(path: Path, specs: Mapping[str, Field[Any]]) -> dict[str, str]:
    """Top-level keys of the project file under the settings' environment names; tables belong to others."""
    if not path.exists():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read ({_reason(error)})") from None

    secrets = {name for name, spec in specs.items() if spec.metadata["secret"]}
    pointers = {f"{name}_file": f"{specs[name].metadata['names'][0]}_FILE" for name in secrets}
    plain = {name: spec.metadata["names"][0] for name, spec in specs.items() if name not in secrets}
    known = plain | pointers
    values = {}
    for key, value in table.items():
        if isinstance(value, dict):
            continue
        if key in secrets:
            raise ConfigError(
                f"{path.name} is committed, so it may not hold {key}; "
                f"put it in .env, or name a file that holds it: {key}_file"
            )
        if key not in known:
            raise ConfigError(f"{path.name}: there is no setting {key!r}{_did_you_mean(key, known)}")
        values[known[key]] = str(value)
    return values


def _parse(spec: Field[Any], raw: Any, source: str) -> Any:
    """A raw value as the field's type; what is already of that type passes."""
    text = raw.get_secret_value() if isinstance(raw, Secret) else str(raw)
    try:
        return spec.metadata["parse"](text)
    except ValueError as error:
        raise ConfigError(f"{spec.name} = {text!r} ({source}): expected {error}") from None


def _warn_unknown(layers: list[_Layer], specs: Mapping[str, Field[Any]]) -> None:
    """A misspelt ONETAPE_ name would otherwise be ignored in silence."""
    known = OTHER_NAMES.union(*(spec.metadata["names"] for spec in specs.values()))
    for layer in layers:
        for name in sorted(layer.values):
            if name.startswith(PREFIX) and name not in known:
                hint = _did_you_mean(name, known)
                warnings.warn(f"{layer.label}: there is no setting {name}{hint}", UserWarning, stacklevel=3)


def _did_you_mean(name: str, known: Mapping[str, Any] | frozenset[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _reason(error: Exception) -> str:
    """What went wrong without what was read: a decode error's text may quote bytes of the file."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
