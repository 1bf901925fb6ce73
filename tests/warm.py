"""Commands that need not start: a server has imported what they need, and forks a process for each.

Such a process has the arguments, environment, folder, umask and open files of the one that asks for it, which
only waits, and ends as it ends. Limits, and what Python heeds when it starts, need a process that does start.

Imports that the one that asks can do without stand in functions: it must start quickly.
"""

from __future__ import annotations

import marshal
import os
import socket
import sys


def ask(address: str, function: str, *arguments: str) -> None:
    """Have the server call a function, such as `vaezip.__main__:main`, in a process like this one."""
    files = [number for number in map(int, os.listdir("/dev/fd")) if os.path.exists(f"/dev/fd/{number}")]
    os.umask(mask := os.umask(0))
    request = marshal.dumps((function, arguments, dict(os.environ), os.getcwd(), mask, files))
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [request[:1]], files)
        server.sendall(request[1:])
        server.shutdown(socket.SHUT_WR)
        code = int(server.recv(100))
    if code < 0:
        import signal

        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def serve(listening: int, modules: tuple[str, ...]) -> None:
    """Import modules; then fork a process for every request, and another that waits for its end."""
    import contextlib
    import importlib
    import signal

    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, lambda *_: os.waitpid(-1, os.WNOHANG))
    requests = socket.socket(fileno=listening)
    while True:
        asking, _ = requests.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            begin, files, _, _ = socket.recv_fds(asking, 1, 100)
            with asking.makefile("rb") as rest:
                request = marshal.loads(begin + rest.read())
            if (process := os.fork()) == 0:
                _become(files, *request)
            os.closerange(0, 3)  # a reader of what the process writes waits for its end, not for ours
            for file in files:
                os.close(file)
            _, status = os.waitpid(process, 0)
            asking.send(b"%d" % os.waitstatus_to_exitcode(status))
            os._exit(0)
        asking.close()


def _become(
    files: list[int],
    function: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
    mask: int,
    numbers: list[int],
) -> None:
    import fcntl
    import pkgutil

    files = [fcntl.fcntl(file, fcntl.F_DUPFD, 200) for file in files]
    os.closerange(0, 200)
    for file, number in zip(files, numbers, strict=True):
        os.dup2(file, number)
    os.closerange(200, 400)
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        setattr(sys, name, open(number, mode, closefd=False) if number in numbers else None)  # noqa: SIM115
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [function, *arguments]
    pkgutil.resolve_name(function)()


if __name__ == "__main__":
    ask(*sys.argv[1:])
