"""Sends file descriptors of every kind over each unix socket that it was given as fd 3: SCM_RIGHTS, see unix(7)."""
import array
import os
import socket
import sys

kind, count = sys.argv[1], int(sys.argv[2])


def descriptor():
    if kind == 'file':
        return os.open('/etc/passwd', os.O_RDONLY)
    if kind == 'null':
        return os.open('/dev/null', os.O_RDWR)
    if kind == 'folder':
        return os.open('/', os.O_RDONLY)
    if kind == 'path':
        return os.open('/', os.O_PATH)
    if kind == 'pipe':
        return os.pipe()[0]
    if kind == 'tcp':
        return socket.socket().detach()
    if kind == 'udp':
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
    if kind == 'unix':
        return socket.socket(socket.AF_UNIX).detach()
    if kind == 'unix-datagrams':
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()
    if kind == 'netlink':
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).detach()
    if kind == 'memory':
        return os.memfd_create('fuzz')
    if kind == 'event':
        return os.eventfd(0)
    if kind == 'terminal':
        return os.openpty()[0]
    if kind == 'listening':
        listening = socket.socket()
        listening.listen()
        return listening.detach()
    return os.dup(3)


channel = socket.socket(fileno=3)
channel.settimeout(1)
text = [b'', b'{"type":"ready"}\n', b'{"cmd":"NODE_HANDLE","type":"net.Native","msg":{}}\n', b'x', b'\n']
for index in range(count):
    fds = [descriptor() for _ in range(1 + index % 3)]
    try:
        channel.sendmsg([text[index % len(text)] or b' '], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
    except OSError:
        pass
    for fd in fds:
        os.close(fd)
channel.detach()
