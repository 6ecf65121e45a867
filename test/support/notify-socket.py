"""A service manager's end of NOTIFY_SOCKET: a line of JSON for each datagram, [pid of the sender, text]."""
import array, json, os, socket, struct, sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind(sys.argv[1])
print("[0, \"listening\"]", flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(65536, 1024)
    pid = 0
    for _, kind, content in ancillary:
        if kind == socket.SCM_RIGHTS:
            fds = array.array("i")
            fds.frombytes(content)
            # Closed: that is how a sender of BARRIER=1 sees that all before it has been read.
            for fd in fds:
                os.close(fd)
        elif kind == socket.SCM_CREDENTIALS:
            pid = struct.unpack("iII", content)[0]
    print(json.dumps([pid, data.decode()]), flush=True)
