#!/bin/sh
# Puts a trained run into service under docker compose, or takes it out, and waits until the server has followed.
set -eu

if [ $# -ne 2 ]; then
    cat >&2 <<'END'
usage: deploy/rollout.sh put RUN      export /models/runs/RUN as the next version of its model, and serve it
       deploy/rollout.sh back RUN     take it out of service; callers get the version before
       deploy/rollout.sh again RUN    serve it again

ROLLOUT_SECONDS (default 300): maximum time to wait for the server.
ROLLOUT_SERVICE (default serving): the service of compose that serves, for example serving-gpu.
END
    exit 2
fi
verb=$1 run=$2 service=${ROLLOUT_SERVICE:-serving}
live=/models/live/$run retired=/models/retired/$run
cd "$(dirname "$0")/.."

fail() {
    echo "rollout: $1" >&2
    exit 1
}

# Moves a package on the volume. A rename is one step: the server sees the whole package, or none.
move() {
    docker compose run --rm --no-deps -T --entrypoint sh training -c '
        test -d "$1" || { echo "rollout: there is no $1" >&2; exit 1; }
        test ! -e "$2" || { echo "rollout: $2 is there already" >&2; exit 1; }
        mkdir -p "${2%/*}" && mv -T "$1" "$2"' sh "$1" "$2"
}

# Whether the log says that the package is served. One that was refused, or that newer ones displaced, is not.
is_served() {
    docker compose logs --no-log-prefix "$service" | grep "serving $of_it" | tail -n 1 | grep -q -v "no longer serving"
}

# Waits until the server logs that it has followed, or that it refuses the package.
wait_for() {
    until [ "$(date +%s)" -ge $((began + ${ROLLOUT_SECONDS:-300})) ]; do
        log=$(docker compose logs --no-log-prefix --since "$began" "$service")
        if line=$(printf '%s\n' "$log" | grep -m 1 "$1 $of_it"); then
            printf '%s\n' "$line"
            return
        elif line=$(printf '%s\n' "$log" | grep -m 1 "$refused"); then
            fail "$line"
        fi
        sleep 0.5
    done
    fail "the server has not said \"$1 ... $live\": docker compose logs $service"
}

case $run in "" | .* | *[!A-Za-z0-9._-]*) fail "RUN is the name of a directory in /models/runs, not '$run'" ;; esac
[ -n "$(docker compose ps --quiet "$service")" ] || fail "the service does not run: docker compose up --detach $service"
pattern=$(printf '%s' "$live" | sed 's/\./\\./g')
of_it="[^ ]* version [0-9]*, $pattern\(\"\|\$\)" refused="$pattern is not taken"
# Docker takes whole seconds. What the log said before, of the same package, does not count, so the work begins with the next second.
began=$(($(date +%s) + 1))
sleep 1
case $verb in
put)
    docker compose run --rm --no-deps -T training export "/models/runs/$run" --out "$live" --version next
    wait_for serving ;;
back)
    if is_served; then
        move "$live" "$retired"
        wait_for "no longer serving"
    else
        move "$live" "$retired"
        echo "$live was not served"
    fi ;;
again)
    move "$retired" "$live"
    wait_for serving ;;
*) fail "the verb is put, back or again, not '$verb'" ;;
esac
