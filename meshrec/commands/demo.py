"""Open a page in the browser on which one drops a photo or a short clip and looks at the bodies.

Example: meshrec demo --port 7860
"""

from argparse import ArgumentParser, Namespace

from meshrec.errors import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, help="port to listen on (default: the first free one from 7860)")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu or cuda (default: cpu)")
    parser.add_argument("--jobs", type=int, default=1, help="uploads to work on at a time (default: 1)")


def run(options: Namespace) -> int:
    import signal
    from threading import Event

    from meshrec.viewer.demo import serving

    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())  # as containers and services are stopped
    with serving(options.host, options.port, options.device, options.jobs) as address:
        say(f"meshrec demo: {address} (Ctrl-C ends it)")
        ended.wait()
    return 0
