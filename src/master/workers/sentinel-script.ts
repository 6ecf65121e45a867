/**
 * The sentinel's program, for a POSIX shell: a thousandth of the memory of another Node, and present wherever there is
 * no service manager or container to do its work.
 *
 * Reads from fd 3: `grace SECONDS`, `sockets INODE...`, `add PID START`, `del PID`, `bye`. End of file without `bye`
 * means that the master died. START is field 22 of /proc/PID/stat and tells a worker from a later process with its pid.
 */
export const sentinelScript = `
is_same() {
  if [ ! -d /proc/self ]; then kill -0 "$1"; return; fi
  start=$2 stat=
  read -r stat <"/proc/$1/stat" || return 1
  set -- \${stat##*) }
  [ "$1" != Z ] || return 1
  shift 19
  [ "$1" = "$start" ]
}
holds_socket() {
  open=$(ls -l "/proc/$1/fd") || return 1
  for inode in $sockets; do
    case $open in *"socket:[$inode]"*) return 0 ;; esac
  done
  return 1
}
watch() {
  trap '' HUP INT QUIT TERM
  grace=30 pids= sockets=
  while read -r verb rest; do
    case $verb in
      grace) grace=$rest ;;
      sockets) sockets=$rest ;;
      add) pids="$pids \${rest% *}:\${rest#* }" ;;
      del)
        kept=
        for entry in $pids; do [ "\${entry%%:*}" = "$rest" ] || kept="$kept $entry"; done
        pids=$kept
        ;;
      bye) exit 0 ;;
    esac
  done
  tick=0
  while :; do
    alive=
    for entry in $pids; do
      pid=\${entry%%:*}
      is_same "$pid" "\${entry#*:}" || continue
      alive="$alive $entry"
      if [ "$tick" -ge $(((grace + 1) * 5)) ]; then kill -9 "$pid"
      elif [ "$tick" -ge 8 ] && holds_socket "$pid"; then kill -9 "$pid"
      fi
    done
    pids=$alive
    [ -n "$pids" ] || exit 0
    [ "$tick" -lt $(((grace + 30) * 5)) ] || exit 0
    tick=$((tick + 1))
    sleep 0.2 || { sleep 1; tick=$((tick + 4)); }
  done
}
watch <&3 3<&- &
`;
