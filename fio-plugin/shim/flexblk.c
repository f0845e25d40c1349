/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fio's side of the plug-in: struct ioengine_ops as calls of flexblk_abi.h.
 * A job: setup (main process, before fork) connects, asks for the size, disconnects; init (the
 * job's own process or thread) connects; iomem_alloc registers all buffers at once;
 * queue / commit / getevents / event; iomem_free; cleanup.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fio.h"
#include "optgroup.h"

#include "flexblk_abi.h"

#define HUGE_PAGE_BYTES ((size_t) 2 << 20)

/* fio fills this from the job file; offset 0 is taken by fio itself. */
struct flexblk_eo {
	void *pad;
	char *trtype, *adrfam, *traddr, *trsvcid, *subnqn;
	char *hostaddr, *hostnqn, *mode, *link, *cc, *hdgst, *ddgst, *tls_key;
	char *dhchap_secret, *dhchap_ctrl_secret, *concat, *poll;
	unsigned int nsid, nr_io_queues;
};

/* What a running job owns. */
struct flexblk_job {
	struct flexblk_handle *handle;
	void *memory;		/* of all buffers, registered */
	size_t memory_bytes;
	bool paced;		/* an option lets time pass between two requests */
	struct flexblk_done done[];	/* iodepth of them: the answer of the last getevents */
};

#define OPTION(kind, word, fallback, text, ...) {				\
	.name = #word, .lname = #word, .type = kind, .help = text,		\
	.off1 = offsetof(struct flexblk_eo, word), .def = fallback,		\
	.category = FIO_OPT_C_ENGINE, .group = FIO_OPT_G_INVALID, __VA_ARGS__ }
#define TEXT(word, fallback, text) OPTION(FIO_OPT_STR_STORE, word, fallback, text)
#define COUNT(word, fallback, most, text) \
	OPTION(FIO_OPT_INT, word, fallback, text, .minval = 1, .maxval = most)

static struct fio_option options[] = {
	TEXT(trtype, "rdma", "Transport: rdma or tcp"),
	TEXT(adrfam, "ipv4", "Address family: ipv4"),
	TEXT(traddr, NULL, "Address of the target"),
	TEXT(trsvcid, "4420", "Port of the target"),
	TEXT(subnqn, NULL, "NVMe qualified name of the subsystem"),
	COUNT(nsid, "1", 0xfffffffe, "Namespace"),
	TEXT(hostaddr, NULL, "Address to connect from"),
	TEXT(hostnqn, NULL, "NVMe qualified name of this host"),
	TEXT(mode, NULL, "Wire mode: native or roce (default: native when the target can)"),
	TEXT(link, NULL, "By which way: auto, udp, shm or raw (default: auto: shared memory when the target is of this machine and offers it)"),
	TEXT(cc, NULL, "Congestion control over RDMA: fixed, swift or dcqcn (default: fixed)"),
	TEXT(hdgst, NULL, "Header digests over TCP: on or off (default: off)"),
	TEXT(ddgst, NULL, "Data digests over TCP: on or off (default: off)"),
	TEXT(tls_key, NULL, "Speak TLS over TCP with this key, NVMeTLSkey-1:... (default: no TLS)"),
	TEXT(dhchap_secret, NULL, "Prove this host with this secret, DHHC-1:... (default: nothing is proved)"),
	TEXT(dhchap_ctrl_secret, NULL, "Have the controller prove itself, too, with this secret (default: it need not)"),
	TEXT(concat, NULL, "Speak TLS over TCP with a key made from dhchap_secret: on or off (default: off)"),
	TEXT(poll, NULL, "How to wait: busy or adaptive (default: adaptive)"),
	COUNT(nr_io_queues, "1", 128, "I/O queues of each job"),
	{ .name = NULL },
};

/* Says why a job cannot run, in fio's own way. */
static int refuse(struct thread_data *td, int error, const char *why)
{
	log_err("flexblk: %s: %s\n", td->o.name, why && why[0] ? why : strerror(error));
	td_verror(td, error, "flexblk");
	return 1;
}

static int flexblk_connect(struct thread_data *td, unsigned int depth,
			   struct flexblk_handle **handle)
{
	const struct flexblk_eo *eo = td->eo;
	const struct flexblk_opts opts = {
		/* Without the option, fio makes up a file name from the job's. */
		.filename = td->o.filename ? td->files[0]->file_name : NULL,
		.trtype = eo->trtype, .adrfam = eo->adrfam, .traddr = eo->traddr,
		.trsvcid = eo->trsvcid, .subnqn = eo->subnqn, .hostaddr = eo->hostaddr,
		.hostnqn = eo->hostnqn, .mode = eo->mode, .link = eo->link, .cc = eo->cc,
		.hdgst = eo->hdgst, .ddgst = eo->ddgst, .tls_key = eo->tls_key,
		.dhchap_secret = eo->dhchap_secret, .dhchap_ctrl_secret = eo->dhchap_ctrl_secret,
		.concat = eo->concat, .poll = eo->poll,
		.nsid = eo->nsid, .nr_io_queues = eo->nr_io_queues, .queue_depth = depth,
	};
	char why[512] = "";
	int ret = flexblk_open(&opts, handle, why, sizeof(why));

	return ret ? refuse(td, -ret, why) : 0;
}

static int flexblk_setup(struct thread_data *td)
{
	struct flexblk_handle *handle;
	struct flexblk_info info;
	struct fio_file *f = td->files[0];
	int ret;

	if (td->o.nr_files != 1)
		return refuse(td, EINVAL, "a job has one namespace: use several jobs for several");
	/* Its workers would connect on their own, without the memory that the job registers. */
	if (td->o.io_submit_mode == IO_MODE_OFFLOAD)
		return refuse(td, EINVAL, "io_submit_mode=offload is not supported");
	if (flexblk_connect(td, 0, &handle))
		return 1;
	ret = flexblk_info(handle, &info);
	flexblk_close(handle);
	if (ret)
		return refuse(td, -ret, NULL);
	f->real_file_size = info.size_bytes;
	f->filetype = FIO_TYPE_BLOCK;
	fio_file_set_size_known(f);
	return 0;
}

static int flexblk_init(struct thread_data *td)
{
	struct flexblk_job *job = calloc(1, sizeof(*job) + td->o.iodepth * sizeof(job->done[0]));

	if (!job)
		return refuse(td, ENOMEM, NULL);
	td->io_ops_data = job;	/* cleanup follows, also after a failure here */
	if (flexblk_connect(td, td->o.iodepth, &job->handle))
		return 1;
	job->paced = (td->flags & TD_F_CHECK_RATE) || td->o.thinktime ||
		     td->o.read_iolog_file || td->o.iodepth_batch > 1;
	return 0;
}

static void flexblk_cleanup(struct thread_data *td)
{
	struct flexblk_job *job = td->io_ops_data;

	if (job && job->handle)
		flexblk_close(job->handle);
	free(job);
}

static int flexblk_iomem_alloc(struct thread_data *td, size_t bytes)
{
	struct flexblk_job *job = td->io_ops_data;
	size_t whole = (bytes + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
	void *memory = aligned_alloc(HUGE_PAGE_BYTES, whole);
	int ret;

	if (!memory)
		return refuse(td, ENOMEM, NULL);
	/* Advice: without huge pages it works as well, slower. */
	madvise(memory, whole, MADV_HUGEPAGE);
	ret = flexblk_register(job->handle, memory, whole);
	if (ret) {
		free(memory);
		return refuse(td, -ret, "cannot register the buffers");
	}
	job->memory = memory;
	job->memory_bytes = whole;
	td->orig_buffer = memory;
	return 0;
}

/* Comes before cleanup. */
static void flexblk_iomem_free(struct thread_data *td)
{
	struct flexblk_job *job = td->io_ops_data;

	if (!job || !job->memory)
		return;
	flexblk_unregister(job->handle, job->memory, job->memory_bytes);
	free(job->memory);
	job->memory = NULL;
}

static int submit(struct flexblk_handle *handle, const struct io_u *io_u)
{
	uint64_t tag = (uintptr_t) io_u, len = io_u->xfer_buflen, offset = io_u->offset;

	if (io_u->ddir == DDIR_READ)
		return flexblk_submit(handle, FLEXBLK_READ, io_u->xfer_buf, len, offset, tag);
	if (io_u->ddir == DDIR_WRITE)
		return flexblk_submit(handle, FLEXBLK_WRITE, io_u->xfer_buf, len, offset, tag);
	if (io_u->ddir == DDIR_TRIM)
		return flexblk_submit(handle, FLEXBLK_TRIM, NULL, len, offset, tag);
	if (ddir_sync(io_u->ddir))
		return flexblk_submit(handle, FLEXBLK_FLUSH, NULL, 0, 0, tag);
	return -EOPNOTSUPP;
}

static enum fio_q_status flexblk_queue(struct thread_data *td, struct io_u *io_u)
{
	struct flexblk_job *job = td->io_ops_data;
	int ret;

	fio_ro_check(td, io_u);
	ret = submit(job->handle, io_u);
	if (ret >= 0)
		return ret == FLEXBLK_BUSY ? FIO_Q_BUSY : FIO_Q_QUEUED;
	io_u->error = -ret;
	return FIO_Q_COMPLETED;
}

/* fio calls this after each request, then queues another or asks for completions at once. */
static int flexblk_commit_job(struct thread_data *td)
{
	const struct flexblk_job *job = td->io_ops_data;

	return flexblk_commit(job->handle, !job->paced);
}

static int flexblk_getevents(struct thread_data *td, unsigned int min, unsigned int max,
			     const struct timespec *t)
{
	struct flexblk_job *job = td->io_ops_data;
	int64_t timeout_ns = t ? (int64_t) t->tv_sec * 1000000000 + t->tv_nsec : -1;

	return flexblk_poll(job->handle, min, min(max, td->o.iodepth), timeout_ns, job->done);
}

static struct io_u *flexblk_event(struct thread_data *td, int index)
{
	const struct flexblk_job *job = td->io_ops_data;
	struct io_u *io_u = (struct io_u *) (uintptr_t) job->done[index].tag;

	io_u->error = job->done[index].error;
	return io_u;
}

/* A namespace has no file of this host to open, close or drop from a cache. */
static int flexblk_nothing(struct thread_data *td, struct fio_file *f)
{
	return 0;
}

static struct ioengine_ops ops = {
	.name = "flexblk",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_RAWIO | FIO_NOEXTEND | FIO_NODISKUTIL | FIO_MEMALIGN | FIO_DISKLESSIO,
	.setup = flexblk_setup,
	.init = flexblk_init,
	.cleanup = flexblk_cleanup,
	.queue = flexblk_queue,
	.commit = flexblk_commit_job,
	.getevents = flexblk_getevents,
	.event = flexblk_event,
	.open_file = flexblk_nothing,
	.close_file = flexblk_nothing,
	.invalidate = flexblk_nothing,
	.iomem_alloc = flexblk_iomem_alloc,
	.iomem_free = flexblk_iomem_free,
	.options = options,
	.option_struct_size = sizeof(struct flexblk_eo),
};

void *flexblk_ioengine_ops(void)
{
	return &ops;
}
