/*
 * tlshd: makes TLS handshakes for the guest's kernel, whose NVMe/TCP host and target speak records but no handshakes.
 * For tests: Debian 12 has no ktls-utils.
 *
 *   tlshd add IDENTITY HEX    a pre-shared key into the kernel's keyring .nvme
 *   tlshd                     serves the kernel until it is killed; says "ready" when it listens
 *
 * Sources: Linux, Documentation/netlink/specs/handshake.yaml and Documentation/networking/tls.rst; RFC 8446, "Traffic Key
 * Calculation".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The family "handshake" (newer than Debian 12's headers). */
enum { CMD_READY = 1, CMD_ACCEPT, CMD_DONE };
enum { ACCEPT_SOCKFD = 1, ACCEPT_HANDLER_CLASS, ACCEPT_MESSAGE_TYPE, ACCEPT_TIMEOUT, ACCEPT_AUTH_MODE, ACCEPT_PEER_IDENTITY };
enum { DONE_STATUS = 1, DONE_SOCKFD, DONE_REMOTE_AUTH };
enum { CLASS_TLSHD = 1, CLIENT_HELLO = 1 };
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* ---- keys ---- */

static long nvme_keyring(void) {
    char line[256];
    long serial = 0;
    FILE *keys = fopen("/proc/keys", "r");
    while (keys && fgets(line, sizeof line, keys))
        if (strstr(line, "keyring") && strstr(line, " .nvme:"))
            serial = strtol(line, NULL, 16);
    if (keys)
        fclose(keys);
    return serial;
}

static int add(const char *identity, const char *hex) {
    unsigned char key[64];
    size_t length = strlen(hex) / 2;
    for (size_t at = 0; at < length && at < sizeof key; at++)
        sscanf(hex + 2 * at, "%2hhx", &key[at]);
    if (syscall(SYS_add_key, "psk", identity, key, length, nvme_keyring()) < 0)
        die("add_key");
    return 0;
}

/* The TLS session that the key of that serial stands for: its description is the identity. */
static SSL_SESSION *session_of(SSL *ssl, long serial, char identity[512]) {
    char described[640], *name = described;
    unsigned char key[64];
    long length = syscall(SYS_keyctl, KEYCTL_READ, serial, key, sizeof key);
    if (length < 0 || syscall(SYS_keyctl, KEYCTL_DESCRIBE, serial, described, sizeof described) < 0)
        return NULL;
    for (int field = 0; field < 4 && name; field++)
        name = strchr(name, ';') ? strchr(name, ';') + 1 : NULL;
    if (!name)
        return NULL;
    snprintf(identity, 512, "%s", name);
    /* NVMe0R01 and NVMe0R02: the hash decides for the cipher suite. */
    const unsigned char sha256[] = {0x13, 0x01}, sha384[] = {0x13, 0x02};
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, length == 32 ? sha256 : sha384);
    SSL_SESSION *session = SSL_SESSION_new();
    SSL_SESSION_set1_master_key(session, key, (size_t)length);
    SSL_SESSION_set_cipher(session, cipher);
    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
    return session;
}

/* ---- one handshake ---- */

static struct {
    long peer;
    char identity[512];
    unsigned char client_secret[64], server_secret[64];
} now;

static void keylog(const SSL *ssl, const char *line) {
    (void)ssl;
    unsigned char *to = NULL;
    if (!strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24))
        to = now.client_secret;
    else if (!strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24))
        to = now.server_secret;
    const char *hex = to ? strrchr(line, ' ') + 1 : "";
    for (; hex[0] && hex[1]; hex += 2)
        sscanf(hex, "%2hhx", to++);
}

static int use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len, SSL_SESSION **session) {
    *session = session_of(ssl, now.peer, now.identity);
    if (*session && md && SSL_CIPHER_get_handshake_digest(SSL_SESSION_get0_cipher(*session)) != md) {
        SSL_SESSION_free(*session);
        *session = NULL;
    }
    *id = (const unsigned char *)now.identity;
    *id_len = strlen(now.identity);
    return 1;
}

static int find_psk(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session) {
    char identity[512];
    snprintf(identity, sizeof identity, "%.*s", (int)id_len, (const char *)id);
    now.peer = syscall(SYS_keyctl, KEYCTL_SEARCH, nvme_keyring(), "psk", identity, 0);
    *session = now.peer > 0 ? session_of(ssl, now.peer, now.identity) : NULL;
    return 1;
}

static void expand(const EVP_MD *md, const unsigned char *secret, const char *label, unsigned char *out, size_t length) {
    unsigned char info[64];
    int label_len = snprintf((char *)info + 3, sizeof info - 4, "tls13 %s", label);
    info[0] = 0, info[1] = (unsigned char)length, info[2] = (unsigned char)label_len, info[3 + label_len] = 0;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    EVP_PKEY_derive_init(ctx);
    EVP_PKEY_CTX_hkdf_mode(ctx, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY);
    EVP_PKEY_CTX_set_hkdf_md(ctx, md);
    EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, EVP_MD_size(md));
    EVP_PKEY_CTX_add1_hkdf_info(ctx, info, 4 + label_len);
    if (EVP_PKEY_derive(ctx, out, &length) <= 0)
        abort();
    EVP_PKEY_CTX_free(ctx);
}

/* The kernel goes on with the records of one direction. */
static int hand_over(int fd, SSL *ssl, int direction, const unsigned char *secret) {
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    int is_long = EVP_MD_size(md) == 48;
    struct tls12_crypto_info_aes_gcm_128 a = {.info = {TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128}};
    struct tls12_crypto_info_aes_gcm_256 b = {.info = {TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256}};
    unsigned char iv[12];
    expand(md, secret, "iv", iv, sizeof iv);
    expand(md, secret, "key", is_long ? b.key : a.key, is_long ? sizeof b.key : sizeof a.key);
    memcpy(is_long ? b.salt : a.salt, iv, 4);
    memcpy(is_long ? b.iv : a.iv, iv + 4, 8);
    return setsockopt(fd, SOL_TLS, direction, is_long ? (void *)&b : (void *)&a, is_long ? sizeof b : sizeof a);
}

static int handshake(int fd, int is_client) {
    SSL_CTX *ctx = SSL_CTX_new(is_client ? TLS_client_method() : TLS_server_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
    SSL_CTX_set_keylog_callback(ctx, keylog);
    SSL_CTX_set_psk_use_session_callback(ctx, use_psk);
    SSL_CTX_set_psk_find_session_callback(ctx, find_psk);
    /* A ticket would be a record more than the kernel counts. */
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL *ssl = SSL_new(ctx);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    SSL_set_fd(ssl, fd);
    int is_good = (is_client ? SSL_connect(ssl) : SSL_accept(ssl)) == 1 && SSL_session_reused(ssl);
    if (is_good && setsockopt(fd, SOL_TCP, TCP_ULP, "tls", 3) == 0 &&
        hand_over(fd, ssl, TLS_TX, is_client ? now.client_secret : now.server_secret) == 0 &&
        hand_over(fd, ssl, TLS_RX, is_client ? now.server_secret : now.client_secret) == 0) {
        printf("tlshd: %s with %s\n", SSL_get_cipher(ssl), now.identity);
    } else {
        printf("tlshd: no handshake with '%s' (%s)\n", now.identity, strerror(errno));
        is_good = 0;
    }
    SSL_set_quiet_shutdown(ssl, 1);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return is_good ? 0 : EACCES;
}

/* ---- generic netlink ---- */

struct message {
    struct nlmsghdr nl;
    struct genlmsghdr genl;
    unsigned char body[4096];
};

static void put(struct message *message, int type, const void *data, size_t length) {
    struct nlattr *attr = (void *)((char *)message + NLMSG_ALIGN(message->nl.nlmsg_len));
    attr->nla_type = (unsigned short)type;
    attr->nla_len = (unsigned short)(NLA_HDRLEN + length);
    memcpy((char *)attr + NLA_HDRLEN, data, length);
    message->nl.nlmsg_len = NLMSG_ALIGN(message->nl.nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

static struct message command(int family, int cmd) {
    struct message message = {.nl = {.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN), .nlmsg_type = (unsigned short)family, .nlmsg_flags = NLM_F_REQUEST}};
    message.genl.cmd = (unsigned char)cmd;
    message.genl.version = 1;
    return message;
}

static void *find(void *first, int length, int type) {
    for (struct nlattr *attr = first; length >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN && attr->nla_len <= length;) {
        if ((attr->nla_type & NLA_TYPE_MASK) == type)
            return attr;
        length -= NLA_ALIGN(attr->nla_len);
        attr = (void *)((char *)attr + NLA_ALIGN(attr->nla_len));
    }
    return NULL;
}

static void *data_of(struct nlattr *attr) { return (char *)attr + NLA_HDRLEN; }

static struct nlattr *attr_of(struct message *message, int type) {
    return find(message->body, (int)message->nl.nlmsg_len - (int)NLMSG_LENGTH(GENL_HDRLEN), type);
}

static int number(struct message *message, int type, int otherwise) {
    struct nlattr *attr = attr_of(message, type);
    return attr ? *(int *)data_of(attr) : otherwise;
}

/* Subscribes to what is said to tlshd; returns the family. */
static int subscribe(int netlink) {
    struct message message = command(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
    put(&message, CTRL_ATTR_FAMILY_NAME, "handshake", 10);
    send(netlink, &message, message.nl.nlmsg_len, 0);
    if (recv(netlink, &message, sizeof message, 0) < 0 || !attr_of(&message, CTRL_ATTR_FAMILY_ID))
        die("family handshake");
    int family = *(unsigned short *)data_of(attr_of(&message, CTRL_ATTR_FAMILY_ID));
    struct nlattr *groups = attr_of(&message, CTRL_ATTR_MCAST_GROUPS);
    for (int at = 1; groups; at++) {
        struct nlattr *group = find(data_of(groups), groups->nla_len - NLA_HDRLEN, at);
        if (!group)
            break;
        struct nlattr *name = find(data_of(group), group->nla_len - NLA_HDRLEN, CTRL_ATTR_MCAST_GRP_NAME);
        struct nlattr *id = find(data_of(group), group->nla_len - NLA_HDRLEN, CTRL_ATTR_MCAST_GRP_ID);
        if (name && id && !strcmp(data_of(name), "tlshd"))
            setsockopt(netlink, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, data_of(id), sizeof(int));
    }
    return family;
}

/* False: nobody waits for a handshake. */
static int serve_one(int netlink, int family) {
    struct message message = command(family, CMD_ACCEPT);
    int class = CLASS_TLSHD;
    put(&message, ACCEPT_HANDLER_CLASS, &class, sizeof class);
    send(netlink, &message, message.nl.nlmsg_len, 0);
    do /* The next one may be announced meanwhile. */
        if (recv(netlink, &message, sizeof message, 0) < 0 || message.nl.nlmsg_type != family)
            return 0;
    while (message.genl.cmd != CMD_ACCEPT);
    int fd = number(&message, ACCEPT_SOCKFD, -1);
    now.peer = number(&message, ACCEPT_PEER_IDENTITY, 0);
    now.identity[0] = 0;
    int status = handshake(fd, number(&message, ACCEPT_MESSAGE_TYPE, 0) == CLIENT_HELLO), peer = (int)now.peer;
    message = command(family, CMD_DONE);
    put(&message, DONE_STATUS, &status, sizeof status);
    put(&message, DONE_SOCKFD, &fd, sizeof fd);
    put(&message, DONE_REMOTE_AUTH, &peer, sizeof peer);
    send(netlink, &message, message.nl.nlmsg_len, 0);
    close(fd);
    return 1;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "add"))
        return add(argv[2], argv[3]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* What the keyring holds is ours to read once it is in our session. */
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    if (syscall(SYS_keyctl, KEYCTL_LINK, nvme_keyring(), KEY_SPEC_SESSION_KEYRING) < 0)
        die("keyring .nvme");
    int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
    struct sockaddr_nl here = {.nl_family = AF_NETLINK};
    if (netlink < 0 || bind(netlink, (void *)&here, sizeof here) < 0)
        die("netlink");
    int family = subscribe(netlink);
    puts("tlshd: ready");
    for (struct message message;;)
        if (recv(netlink, &message, sizeof message, 0) > 0 && message.nl.nlmsg_type == family && message.genl.cmd == CMD_READY)
            while (serve_one(netlink, family)) {
            }
}
