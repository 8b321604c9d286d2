"""The one error tree. Every message says what was wrong, the value, what was expected and what to do next.

    OnetapeError            exit 1   never raised itself; catch it at a door
    ├── UsageError          exit 2   a name, parameter or option that does not exist or has the wrong type
    ├── DataError           exit 3   prices, times or files that cannot be trusted
    ├── StrategyError       exit 3   a signal function broke its contract (shape, order of calls, input changed)
    ├── CertificateError    exit 3   batch and stream differ, or a certificate does not match
    ├── JournalError        exit 7   a journal is damaged, or its replay differs
    ├── HaltedError         exit 4   risk control stopped trading
    ├── AuthError           exit 5   a person must log in or approve
    ├── UnavailableError    exit 6   a venue did not answer after retries
    └── ConfigError         exit 78  a setting or account file is wrong

Exit codes: 0 ok, 1 unexpected, 75 temporary, 130 interrupted. Refusals by risk are values, not exceptions.
"""


class OnetapeError(Exception):
    """Base of all errors a user can cause or meet."""

    exit_code = 1


class UsageError(OnetapeError):
    """A name, parameter or option that does not exist or has the wrong type."""

    exit_code = 2


class DataError(OnetapeError):
    """Prices, times or files that cannot be trusted."""

    exit_code = 3


class StrategyError(OnetapeError):
    """A signal function broke its contract."""

    exit_code = 3


class CertificateError(OnetapeError):
    """Batch and stream differ, or a certificate does not match what runs."""

    exit_code = 3


class HaltedError(OnetapeError):
    """Risk control stopped trading."""

    exit_code = 4


class AuthError(OnetapeError):
    """A person must log in or approve."""

    exit_code = 5


class UnavailableError(OnetapeError):
    """A venue did not answer after retries."""

    exit_code = 6


class JournalError(OnetapeError):
    """A journal is damaged, or its replay differs."""

    exit_code = 7


class ConfigError(OnetapeError):
    """A setting or account file is wrong."""

    exit_code = 78
