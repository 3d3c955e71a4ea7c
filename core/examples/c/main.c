/* Answers four packets through poddns.h, and exits with 1 if one answer is not what it should be. */
#include <stdio.h>
#include <string.h>

#include "poddns.h"

/* One namespace with one pod: default, 10.42.2.46. */
static const char POD_NAMESPACE[] = "default";
static const uint8_t POD_ADDRESS[4] = {10, 42, 2, 46};

/* Set while the pods are not known. */
static bool unknown = false;

static int namespace_exists(void *context, const uint8_t *name, size_t len) {
    unsigned *calls = context;
    ++*calls;
    if (unknown)
        return -1;
    return len == strlen(POD_NAMESPACE) && memcmp(name, POD_NAMESPACE, len) == 0;
}

static int contains(void *context, const uint8_t *name, size_t len, const uint8_t *address, size_t address_len) {
    int exists = namespace_exists(context, name, len);
    if (exists <= 0)
        return exists;
    return address_len == sizeof POD_ADDRESS && memcmp(address, POD_ADDRESS, address_len) == 0;
}

/* A query for A or AAAA of a name in presentation form. */
static size_t query_for(uint8_t *out, const char *name, uint8_t rtype) {
    static const uint8_t header[12] = {0x12, 0x34, 0x01, 0, 0, 1};
    size_t len = sizeof header;
    memcpy(out, header, len);
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        out[len++] = (uint8_t)label;
        memcpy(out + len, name, label);
        len += label;
        name += label + (name[label] == '.');
    }
    const uint8_t tail[5] = {0, 0, rtype, 0, 1};
    memcpy(out + len, tail, sizeof tail);
    return len + sizeof tail;
}

static int failures = 0;

static void check(const char *what, bool good) {
    printf("%s: %s\n", good ? "ok" : "FAILED", what);
    failures += !good;
}

int main(void) {
    poddns_zone zone;
    check("a bad domain is refused", poddns_zone_init(&zone, "cluster..local") == -1);
    check("a good domain is taken", poddns_zone_init(&zone, "cluster.local") == 0);

    unsigned calls = 0;
    const poddns_pods pods = {&calls, namespace_exists, contains};
    poddns_config config = {&zone, &pods, PODDNS_VERIFIED, false, 5};
    const uint8_t loopback[4] = {127, 0, 0, 1};
    const poddns_client client = {loopback, sizeof loopback, PODDNS_UDP};
    uint8_t query[300], reply[PODDNS_MAX_UDP_REPLY];

    size_t query_len = query_for(query, "10-42-2-46.Default.pod.cluster.local", 1);
    size_t len = poddns_respond(&config, &client, query, query_len, reply, sizeof reply);
    /* Header and question as in the query; one record of 16 octets that ends with the address. */
    check("a pod's name is answered", len == query_len + 16 && (reply[3] & 0xf) == 0 && reply[7] == 1);
    check("with the question as it came", memcmp(reply + 12, query + 12, query_len - 12) == 0);
    check("and with its address", memcmp(reply + len - 4, POD_ADDRESS, 4) == 0);
    check("after the pods were asked", calls == 1);

    query_len = query_for(query, "10-42-2-47.default.pod.cluster.local", 1);
    len = poddns_respond(&config, &client, query, query_len, reply, sizeof reply);
    check("a stranger's name is NXDOMAIN", len > query_len && (reply[3] & 0xf) == 3 && reply[7] == 0);

    unknown = true;
    len = poddns_respond(&config, &client, query, query_len, reply, sizeof reply);
    check("while the pods are not known, it is SERVFAIL", len == query_len && (reply[3] & 0xf) == 2);

    check("a response is not answered",
          poddns_respond(&config, &client, reply, len, reply + 600, sizeof reply - 600) == 0);
    config.mode = 9;
    check("an unknown mode is refused", poddns_respond(&config, &client, query, query_len, reply, sizeof reply) == 0);
    return failures != 0;
}
