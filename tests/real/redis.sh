# Redis: background saves (fork) under the load of redis-benchmark and
# a restart from the file that was saved.
# run: needs=redis-server,redis-cli,redis-benchmark,perl
socket=$PWD/socket server=
serve() {
    under redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no --dir "$PWD" --loglevel warning \
        --enable-debug-command yes --daemonize no >log 2>&1 &
    server=$!
    for _ in $(seq 100); do
        [ "$(redis-cli -s "$socket" ping 2>/dev/null)" = PONG ] && return
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    cat log >&2
    exit 1
}
trap '[ -z "$server" ] || kill $server || :' EXIT
ask() { redis-cli -s "$socket" "$@"; }
saved() {
    for _ in $(seq 200); do
        [ "$(ask info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" = 0 ] && break
        sleep 0.05
    done
    ask info persistence | tr -d '\r' | grep rdb_last_bgsave_status
}

serve
perl -e '
    for my $i (1 .. 20000) { print "SET key:$i ", "v" x ($i * 7 % 300), $i, "\r\n" }
    for my $i (1 .. 5000) { print "HSET hash:", $i % 50, " field$i ", "h" x (1 + $i % 90), "\r\nRPUSH list:", $i % 20, " ", "l" x (1 + $i % 70), "\r\nZADD sorted $i member$i\r\n" }' |
    redis-cli -s "$socket" --pipe | tail -n 1
for round in 1 2 3; do
    ask bgsave
    redis-benchmark -s "$socket" -q -n 6000 -c 20 -P 4 -t set,get,incr,lpush,rpop,sadd,hset,spop,zadd,mset >/dev/null
    saved
done
perl -e 'for my $i (1 .. 20000) { print $i % 3 ? "DEL key:$i" : "APPEND key:$i a" . "a" x ($i % 500), "\r\n" }' |
    redis-cli -s "$socket" --pipe | tail -n 1
ask del mylist myset 'key:{tag}' key:__rand_int__ element:__rand_int__ >/dev/null
ask dbsize
digest=$(ask debug digest)
echo "$digest"
ask save
ask shutdown nosave
wait $server
server=
echo "server ended well"
serve
[ "$(ask debug digest)" = "$digest" ] && echo "the same after a restart"
ask memory purge
ask shutdown nosave
wait $server
server=
echo "server ended well"
