/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the shim asks of the Rust side (fio-plugin/src/lib.rs). Nothing here knows fio.
 *
 * A connection belongs to one thread from open to close. Nothing is shared between two
 * connections, and none is alive across fork(). Errors are negative errno values.
 */
#ifndef FLEXBLK_ABI_H
#define FLEXBLK_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One connection to one namespace. */
struct flexblk_handle;

/*
 * Where to connect and how. Strings are zero-terminated or NULL (not given); they are read
 * during flexblk_open only.
 */
struct flexblk_opts {
	/*
	 * SPDK's string ("trtype=rdma traddr=… subnqn=… ns=1") or a URI ("nvme-rdma://…",
	 * "nvme-tcp://…"), or NULL, or a name that is neither. What it states wins over the fields below.
	 */
	const char *filename;
	const char *trtype;	/* "rdma" or "tcp" */
	const char *adrfam;	/* "ipv4" */
	const char *traddr;
	const char *trsvcid;	/* decimal port */
	const char *subnqn;
	const char *hostaddr;	/* address to connect from */
	const char *hostnqn;
	const char *mode;	/* "native" or "roce"; NULL: native when the target can */
	const char *link;	/* "auto", "udp" or "shm"; NULL: auto */
	const char *cc;		/* "fixed", "swift" or "dcqcn", over RDMA; NULL: fixed */
	const char *hdgst;	/* "on" or "off", over TCP; NULL: off */
	const char *ddgst;	/* likewise */
	const char *tls_key;	/* "NVMeTLSkey-1:...", over TCP; NULL: no TLS */
	const char *dhchap_secret;	/* "DHHC-1:..."; NULL: this host proves nothing */
	const char *dhchap_ctrl_secret;	/* likewise; NULL: the controller need not */
	const char *concat;	/* "on" or "off", over TCP; NULL: off */
	const char *poll;	/* "busy" or "adaptive"; NULL: adaptive */
	uint32_t nsid;
	uint32_t nr_io_queues;	/* of this connection, at least 1 */
	/* Requests in flight at once, at least 1; 0: identify only, no I/O queue is made. */
	uint32_t queue_depth;
};

struct flexblk_info {
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint32_t transfer_bytes_max;	/* larger requests are split by the Rust side */
};

enum flexblk_op {
	FLEXBLK_READ = 0,
	FLEXBLK_WRITE = 1,
	FLEXBLK_TRIM = 2,	/* buf is NULL */
	FLEXBLK_FLUSH = 3,	/* buf is NULL, offset and len are 0 */
};

struct flexblk_done {
	uint64_t tag;
	int32_t error;		/* 0, or a positive errno value */
	uint32_t reserved;
};

/* The Rust side states the same sizes. */
_Static_assert(sizeof(struct flexblk_opts) == 160, "layout of struct flexblk_opts");
_Static_assert(sizeof(struct flexblk_info) == 16, "layout of struct flexblk_info");
_Static_assert(sizeof(struct flexblk_done) == 16, "layout of struct flexblk_done");

/* Answers of flexblk_submit beside errors. */
#define FLEXBLK_QUEUED 0
/* No room: poll, then submit again. Given only while a request is in flight. */
#define FLEXBLK_BUSY 1

/* 0 and a handle, or an error and a sentence for the user in why[why_bytes]. */
int flexblk_open(const struct flexblk_opts *opts, struct flexblk_handle **handle,
		 char *why, size_t why_bytes);

int flexblk_info(struct flexblk_handle *handle, struct flexblk_info *info);

/* Lets requests use buf[len]. The memory stays mapped until flexblk_unregister or _close. */
int flexblk_register(struct flexblk_handle *handle, void *buf, size_t len);
int flexblk_unregister(struct flexblk_handle *handle, void *buf, size_t len);

/*
 * Takes one request, or refuses it at once with an error. offset and len are octets. The buffer
 * lies in registered memory and belongs to the connection until the tag has been polled.
 */
int flexblk_submit(struct flexblk_handle *handle, enum flexblk_op op, void *buf, uint64_t len,
		   uint64_t offset, uint64_t tag);

/*
 * Sends what was submitted. With `more`, the caller submits or polls again at once: requests may
 * be kept back to leave together, until a batch is full or a poll finds too few completions at
 * hand.
 */
int flexblk_commit(struct flexblk_handle *handle, bool more);

/*
 * Fills done[0..max], first with completions that are at hand. When these are fewer than min (or
 * none), sends what was kept back and takes what has arrived, until there are min or timeout_ns
 * have passed (negative: no limit). min may be 0: looks once. Returns their number. An error
 * means that no further completion will come.
 */
int flexblk_poll(struct flexblk_handle *handle, unsigned int min, unsigned int max,
		 int64_t timeout_ns, struct flexblk_done *done);

/* Disconnects; afterwards no thread of the connection runs and no memory of the user is touched. */
void flexblk_close(struct flexblk_handle *handle);

/* The other way: what get_ioengine of the Rust side hands to fio (struct ioengine_ops). */
void *flexblk_ioengine_ops(void);

#endif
