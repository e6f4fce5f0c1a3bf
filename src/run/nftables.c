/* SPDX-License-Identifier: MIT */
/*
 * nftables: see nftables.h.
 *
 * One message of nfnetlink and its answer. nft(8) would tell more, but it is what is not
 * believed here; and to start it again takes fifty times as long.
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
#include "sbx/run/nftables.h"

enum { NFTABLES_BYTES = 256, NFTABLES_ANSWER_BYTES = 8192 };

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

/* The answer takes the place of the question. Return: its length, or -errno. */
static ssize_t nftables_ask(int fd, union nftables_message *m)
{
	ssize_t n;

	do {
		n = send(fd, m->bytes, m->head.nlmsg_len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	do {
		n = recv(fd, m->bytes, sizeof(m->bytes), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
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
int nftables_count_rules(const char *table, const char *chain)
{
	union nftables_message m = {
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
			 .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN,
			 .nlmsg_flags = NLM_F_REQUEST},
	};
	struct nfgenmsg *family = NLMSG_DATA(&m.head);
	_autoclose_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	const char *use;
	uint32_t count;
	ssize_t n;

	if (fd < 0)
		return -errno;
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
