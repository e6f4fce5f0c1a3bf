/* SPDX-License-Identifier: MIT */
/*
 * nftables: see nftables.h.
 *
 * One message of nfnetlink and its answer. nft(8) would tell more, but it is what is not
 * believed here; and to start it again takes fifty times as long. It could not be started later at
 * all, when nobody else can enter.
 *
 * What changes something is a batch, between two messages that say so, and done as a whole or not
 * at all. The kernel has done it, and its answer is there, when send(2) returns.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/netlink.h"
#include "sbx/base/str.h"
#include "sbx/run/nftables.h"

enum { NFTABLES_BYTES = 1024, NFTABLES_ANSWER_BYTES = 8192 };

union nftables_message {
	struct nlmsghdr head;
	char bytes[NFTABLES_ANSWER_BYTES];
};

static void nftables_add_text(union nftables_message *m, uint16_t type, const char *text)
{
	size_t at = NLMSG_ALIGN(m->head.nlmsg_len), size = strlen(text) + 1;
	struct nlattr *attr = (struct nlattr *)(void *)(m->bytes + at);

	assert(at + NLA_HDRLEN + NLA_ALIGN(size) <= NFTABLES_BYTES);
	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + size);
	memcpy((char *)attr + NLA_HDRLEN, text, size);
	m->head.nlmsg_len = (uint32_t)(at + NLA_HDRLEN + NLA_ALIGN(size));
}

/* Return: a socket in the network namespace of the caller, or -errno. */
int nftables_open(void)
{
	return netlink_open(NETLINK_NETFILTER);
}

/* The answer takes the place of the question. Return: its length, or -errno. */
static ssize_t nftables_ask(int fd, union nftables_message *m)
{
	ssize_t n = netlink_ask(fd, m->bytes, m->head.nlmsg_len, m->bytes, sizeof(m->bytes));

	if (n < 0)
		return n;
	if (n >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
	    m->head.nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = NLMSG_DATA(&m->head);

		return error->error < 0 ? error->error : -EPROTO;
	}
	return n;
}

/* Return: where the value of an attribute is, or NULL. */
static const char *nftables_find(const union nftables_message *m, size_t len, unsigned type,
				 size_t size)
{
	size_t at = NLMSG_LENGTH(sizeof(struct nfgenmsg));

	while (at + NLA_HDRLEN <= len) {
		const struct nlattr *attr = (const struct nlattr *)(const void *)(m->bytes + at);

		if (attr->nla_len < NLA_HDRLEN || at + attr->nla_len > len)
			return NULL;
		if ((attr->nla_type & NLA_TYPE_MASK) == type)
			return attr->nla_len >= NLA_HDRLEN + size ? m->bytes + at + NLA_HDRLEN
								  : NULL;
		at += NLA_ALIGN(attr->nla_len);
	}
	return NULL;
}

/**
 * How many rules has a chain of the family inet that packets go through?
 *
 * Return: 0 or more; -ENOENT: there is none, or no packet comes by it; or -errno.
 */
int nftables_count_rules(int fd, const char *table, const char *chain)
{
	union nftables_message m = {
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
			 .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN,
			 .nlmsg_flags = NLM_F_REQUEST},
	};
	struct nfgenmsg *family = NLMSG_DATA(&m.head);
	const char *use;
	uint32_t count;
	ssize_t n;

	family->nfgen_family = NFPROTO_INET;
	family->version = NFNETLINK_V0;
	nftables_add_text(&m, NFTA_CHAIN_TABLE, table);
	nftables_add_text(&m, NFTA_CHAIN_NAME, chain);
	n = nftables_ask(fd, &m);
	if (n < 0)
		return (int)n;
	if (m.head.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN))
		return -EPROTO;
	if (!nftables_find(&m, (size_t)n, NFTA_CHAIN_HOOK, 0))
		return -ENOENT;
	use = nftables_find(&m, (size_t)n, NFTA_CHAIN_USE, sizeof(count));
	if (!use)
		return -EPROTO;
	memcpy(&count, use, sizeof(count));
	return (int)(ntohl(count) & INT32_MAX);
}

/* ---- adding to a set ---- */

/* A batch in the making: messages one behind the other. */
struct nftables_batch {
	char bytes[NFTABLES_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t len;
};

static void *nftables_put(struct nftables_batch *batch, size_t size)
{
	void *at = batch->bytes + batch->len;

	assert(batch->len + NLMSG_ALIGN(size) <= sizeof(batch->bytes));
	memset(at, 0, NLMSG_ALIGN(size));
	batch->len += NLMSG_ALIGN(size);
	return at;
}

/* Return: where it begins, for its length, which is known when all is in it. */
static struct nlmsghdr *nftables_begin(struct nftables_batch *batch, uint16_t type, uint16_t flags,
				       uint8_t family, uint16_t resource)
{
	struct nlmsghdr *head = nftables_put(batch, NLMSG_LENGTH(sizeof(struct nfgenmsg)));
	struct nfgenmsg *gen = NLMSG_DATA(head);

	head->nlmsg_type = type;
	head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	head->nlmsg_len = NLMSG_LENGTH(sizeof(*gen));
	gen->nfgen_family = family;
	gen->version = NFNETLINK_V0;
	gen->res_id = htons(resource);
	return head;
}

static struct nlattr *nftables_add(struct nftables_batch *batch, uint16_t type, const void *data,
				   size_t size)
{
	struct nlattr *attr = nftables_put(batch, NLA_HDRLEN + size);

	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + size);
	if (size > 0)
		memcpy((char *)attr + NLA_HDRLEN, data, size);
	return attr;
}

static void nftables_end(const struct nftables_batch *batch, struct nlattr *attr)
{
	attr->nla_len = (uint16_t)(batch->bytes + batch->len - (char *)attr);
}

/* @flags: NFT_SET_ELEM_INTERVAL_END: the first that is not in it any more */
static void nftables_add_element(struct nftables_batch *batch, const void *key, size_t size,
				 uint32_t flags)
{
	struct nlattr *element = nftables_add(batch, NLA_F_NESTED | NFTA_LIST_ELEM, NULL, 0);
	uint32_t net_flags = htonl(flags);
	struct nlattr *attr;

	if (flags)
		(void)nftables_add(batch, NFTA_SET_ELEM_FLAGS, &net_flags, sizeof(net_flags));
	attr = nftables_add(batch, NLA_F_NESTED | NFTA_SET_ELEM_KEY, NULL, 0);
	(void)nftables_add(batch, NFTA_DATA_VALUE, key, size);
	nftables_end(batch, attr);
	nftables_end(batch, element);
}

/* The first address behind a prefix. Return: false: there is none, it goes to the end. */
static bool nftables_step_over(uint8_t *key, unsigned bits)
{
	for (unsigned bit = bits; bit > 0; bit--) {
		uint8_t mask = (uint8_t)(0x80 >> ((bit - 1) % 8));

		key[(bit - 1) / 8] ^= mask;
		if (key[(bit - 1) / 8] & mask)
			return true;
	}
	return false;
}

/* One address, or all of a prefix. */
static void nftables_add_to_set(struct nftables_batch *batch, const char *base, const uint8_t *key,
				size_t size, unsigned bits)
{
	bool single = bits == size * 8;
	uint8_t end[sizeof(struct in6_addr)];
	char set[16];
	struct str_buf name = STR_BUF_ON_STACK(set);
	struct nlmsghdr *head =
		nftables_begin(batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM,
			       NLM_F_CREATE | NLM_F_ACK, NFPROTO_INET, 0);
	struct nlattr *elements;

	str_buf_printf(&name, "%s%c", base, size == sizeof(struct in_addr) ? '4' : '6');
	(void)nftables_add(batch, NFTA_SET_ELEM_LIST_TABLE, NET_TABLE, sizeof(NET_TABLE));
	(void)nftables_add(batch, NFTA_SET_ELEM_LIST_SET, set, strlen(set) + 1);
	elements = nftables_add(batch, NLA_F_NESTED | NFTA_SET_ELEM_LIST_ELEMENTS, NULL, 0);
	nftables_add_element(batch, key, size, 0);
	memcpy(end, key, size);
	if (!single && nftables_step_over(end, bits))
		nftables_add_element(batch, end, size, NFT_SET_ELEM_INTERVAL_END);
	nftables_end(batch, elements);
	head->nlmsg_len = (uint32_t)(batch->bytes + batch->len - (char *)head);
}

/* What the kernel says of a batch. Return: 0, or -errno: of the first that failed. */
static int nftables_hear(int fd, unsigned n)
{
	union nftables_message answer;
	unsigned done = 0;
	int r = 0;

	while (r == 0 && done < n) {
		ssize_t len = recv(fd, answer.bytes, sizeof(answer.bytes), MSG_DONTWAIT);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) ||
		    answer.head.nlmsg_type != NLMSG_ERROR)
			return len < 0 ? -errno : -EPROTO;
		r = ((const struct nlmsgerr *)NLMSG_DATA(&answer.head))->error;
		done++;
	}
	/* What else there is belongs to this. */
	while (recv(fd, answer.bytes, sizeof(answer.bytes), MSG_DONTWAIT) > 0)
		;
	return r;
}

/**
 * Have an address, or all of a prefix, refused that the rules have not had (see spec/net_filter.c).
 * One that they have is none the worse for it.
 * @fd:  of a socket in the network that they are of
 * @set: NET_SET_HOST for an address, another for a prefix of which no part is in the set
 *
 * Return: 0 when it is; or -errno: it is not.
 */
int nftables_deny(int fd, const char *set, const struct net_link *what)
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	bool v4 = what->address.family == AF_INET;
	const uint8_t *key = (const uint8_t *)&what->address.at;
	struct nftables_batch batch = {.len = 0};
	uint8_t mapped[sizeof(struct in6_addr)];
	int r;

	(void)nftables_begin(&batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	nftables_add_to_set(&batch, set, key, v4 ? sizeof(struct in_addr) : sizeof(struct in6_addr),
			    what->bits);
	if (v4) {
		memcpy(mapped, nat64, sizeof(nat64));
		memcpy(mapped + sizeof(nat64), key, sizeof(struct in_addr));
		nftables_add_to_set(&batch, set, mapped, sizeof(mapped), what->bits + 96);
	}
	(void)nftables_begin(&batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	r = netlink_send(fd, batch.bytes, batch.len);
	return r < 0 ? r : nftables_hear(fd, v4 ? 2 : 1);
}
