"""What goes wrong while the writers write: the mount and the server are killed, stopped and cut at
random moments, all drawn from one seed."""

import random
import signal
import time

CALLS = ["*", "PutObject", "UploadPart*", "CreateMultipartUpload", "CompleteMultipartUpload",
         "AbortMultipartUpload", "HeadObject", "GetObject", "List*", "CopyObject", "DeleteObject*"]
# S3 answers 200 before it knows how these end.
LATE_CALLS = ["CompleteMultipartUpload", "CopyObject", "UploadPartCopy"]


def some_effect(rng):
    after = rng.randrange(200_000)
    return rng.choice([
        {"status": 503, "code": "ServiceUnavailable", "message": "no tomes available"},
        {"status": 503, "code": "SlowDown", "message": "slow down", "headers": {"Retry-After": "1"}},
        {"status": 500, "code": "InternalError", "message": "internal error"},
        {"status": 403, "code": "AccessDenied", "message": "not entitled"},
        {"status": 408, "code": "RequestTimeout", "message": "the client was too slow"},
        {"error_in_200": {"code": "InternalError", "message": "internal error"}},
        {"cap": rng.choice(["storage", "transaction"])},
        {"cut": "request", "after_bytes": after},
        {"cut": "response", "after_bytes": rng.randrange(500)},
        {"lost_answer": True},
        {"stall_ms": rng.randrange(200, 3000), "then": "close"},
        {"stall_ms": rng.randrange(200, 3000), "then": "answer", "at": "answer"},
        {"slow_bytes_per_second": rng.randrange(200_000, 2_000_000)},
        {"delay_ms": rng.randrange(50, 500)},
    ])


class Trouble:
    def __init__(self, server, mount):
        self.server = server
        self.mount = mount
        self.mount_kills = self.server_kills = self.faults = self.stalls = 0
        self.told = []  # when and what, for the report
        self.broken = None

    def run(self, seed, deadline):
        """The body of the thread: one thing after the other until the time is up."""
        self.deadline = deadline
        self.rng = random.Random(seed)
        try:
            if self.rng.random() < 0.6:
                self.slow_down_parts()
            while time.monotonic() < self.deadline:
                time.sleep(self.rng.uniform(0.02, 0.8))
                action = self.rng.choices(*zip(*self.WEIGHTS))[0]
                self.tell(action.__name__)
                action(self)
        except Exception as error:  # told to the main thread, which ends the run
            self.broken = error

    def stop(self):
        self.deadline = 0

    def tell(self, what):
        now = time.time()
        self.told.append(f"{time.strftime('%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03} {what}")

    def pause(self, longest):
        time.sleep(self.rng.uniform(0, longest))

    def slow_down_parts(self):
        """So that more goes wrong in the middle of a large file: this machine is no network."""
        speed = self.rng.randrange(3_000_000, 30_000_000)
        self.tell(f"parts at {speed} bytes a second")
        self.server.admin("POST", "faults", {"match": {"kind": "UploadPart"}, "times": -1,
                                             "fault": {"slow_bytes_per_second": speed}})

    def kill_mount(self):
        self.mount_kills += 1
        self.mount.kill()
        self.pause(0.2)
        self.mount.take_away()
        self.mount.start()

    def kill_server(self):
        self.server_kills += 1
        self.server.end(self.rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        self.pause(2)
        self.server.start()

    def kill_both(self):
        """Everything at once; the mount starts while the server is still away."""
        self.server_kills += 1
        self.server.end()
        self.pause(1)
        self.kill_mount()
        self.pause(0.5)
        self.server.start()

    def stall_server(self):
        self.stalls += 1
        self.server.suspend()
        try:
            self.pause(3)
        finally:
            self.server.resume()

    def set_fault(self):
        self.faults += 1
        effect = some_effect(self.rng)
        kinds = LATE_CALLS if "error_in_200" in effect else CALLS
        fault = {"match": {"kind": self.rng.choice(kinds)}, "nth": self.rng.randrange(1, 4),
                 "times": self.rng.choice([1, 1, 2, 5, -1]), "rate": self.rng.choice([1, 1, 0.3]),
                 "seed": self.rng.randrange(1 << 31), "fault": effect}
        self.tell(f"{fault['match']['kind']} from {fault['nth']}, {fault['times']} times: {effect}")
        self.server.admin("POST", "faults", fault)

    def clear_faults(self):
        self.server.admin("DELETE", "faults")

    def revoke_key(self):
        self.faults += 1
        self.server.revoke_key()
        self.pause(1)
        self.server.give_key_back()

    WEIGHTS = [(kill_mount, 24), (kill_server, 14), (kill_both, 6), (stall_server, 8), (set_fault, 32),
               (clear_faults, 12), (revoke_key, 4)]
