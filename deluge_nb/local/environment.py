"""The environment of child processes: what they need to run, and no key of the user's."""

from __future__ import annotations

import os

# Variables by name, and by the beginning of their names. Nothing else is handed on: any variable may hold a key.
_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TEMP", "TMP", "LANG", "LANGUAGE", "TZ"),
        *("SYSTEMROOT", "WINDIR", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "USERPROFILE", "HOMEDRIVE", "HOMEPATH"),
        *("APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "NUMBER_OF_PROCESSORS"),
        *("PROCESSOR_ARCHITECTURE", "VIRTUAL_ENV", "CONDA_PREFIX", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
        *("XDG_RUNTIME_DIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHOME", "PYTHONUTF8"),
        *("PYTHONIOENCODING", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE"),
    }
)
_BEGINNINGS = ("LC_", "DYLD_", "OMP_", "GOMP_", "KMP_", "OPENBLAS_", "CUDA_", "HIP_", "ROCR_", "VK_")
# For the child that loads something from the network.
_NETWORK = frozenset(
    {
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"),
    }
)


def child_environment(*, network: bool = False, **more: str) -> dict[str, str]:
    """Return the variables for a child process.

    Parameters
    ----------
    network
        Also give it proxies, certificates and pip's settings.
    **more
        Variables to add.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _NAMES
        or name.upper().startswith(_BEGINNINGS)
        or (network and (name.upper() in _NETWORK or name.upper().startswith("PIP_")))
    }
    return {**kept, **more}
