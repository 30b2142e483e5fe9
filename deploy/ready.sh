#!/bin/bash
# Whether the service in this container is ready: the image's health check. It asks /readyz over plain HTTP, so it needs no
# certificate and no token, whatever the service speaks. Bash opens the connection itself: `vae health` would take 100 times the
# processor time, and is asked only if there is no port for HTTP.
if [ "${VAE_METRICS_PORT:-0}" = 0 ]; then
    if [ -n "${VAE_TLS_CERTIFICATE:-}" ]; then
        echo "vae-ready: under TLS the health check needs VAE_METRICS_PORT"
        exit 1
    elif [ -n "${VAE_SOCKET:-}" ]; then
        exec vae health --target "unix:$VAE_SOCKET"
    fi
    exec vae health --target "127.0.0.1:$VAE_PORT"
fi
exec 3<>"/dev/tcp/${VAE_HOST:-127.0.0.1}/$VAE_METRICS_PORT" || exit 1
printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
read -r -t 5 _ status _ <&3
echo "$status"
[ "$status" = 200 ]
