#!/bin/sh
# Makes the certificates in this folder, which are valid for a hundred years. The keys are for tests alone.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }
extensions() { printf '%s\n' "$@" >"$work/extensions"; }

# The CA, and another of the same name: what it is after it was replaced.
for ca in ca other-ca; do
    key "$work/$ca.key"
    openssl req -x509 -new -key "$work/$ca.key" -days 36500 -subj /CN=test-ca -out $ca.crt
done

# The server's certificate, of the CA. The client's, in version 3 and version 1.
key server.key
openssl req -new -key server.key -subj /CN=server -out "$work/server.csr"
extensions 'basicConstraints=CA:FALSE' 'subjectAltName=IP:127.0.0.1,DNS:kubernetes.default.svc'
openssl x509 -req -in "$work/server.csr" -CA ca.crt -CAkey "$work/ca.key" -set_serial 2 -days 36500 \
    -extfile "$work/extensions" -out server.crt
key client.key
openssl req -new -key client.key -subj /O=team/CN=client -out "$work/client.csr"
extensions 'basicConstraints=CA:FALSE' 'extendedKeyUsage=clientAuth'
openssl x509 -req -in "$work/client.csr" -CA ca.crt -CAkey "$work/ca.key" -set_serial 3 -days 36500 \
    -extfile "$work/extensions" -out client.crt
openssl x509 -req -in "$work/client.csr" -CA ca.crt -CAkey "$work/ca.key" -set_serial 4 -days 36500 -out client-v1.crt

# A self-signed certificate as `openssl req -x509` makes it: a CA.
key self-signed.key
openssl req -x509 -new -key self-signed.key -days 36500 -subj /CN=self-signed \
    -addext 'subjectAltName=IP:127.0.0.1' -out self-signed.crt

# Keys in other forms.
openssl pkcs8 -topk8 -in client.key -passout pass:test -out encrypted.key
openssl ec -in client.key -out client-sec1.key
