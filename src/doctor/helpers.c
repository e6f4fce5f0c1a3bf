/* SPDX-License-Identifier: MIT */
/* helpers: probes of programs that sbx starts, and of the devices they open. */

#include <sched.h>
#include <string.h>

#include "sbx/doctor/probes.h"
#include "sbx/run/nftables.h"
#include "sbx/spec/hints.h"

DOCTOR_PROBE(device)
{
	const char *path = probe->arg == HINT_TUN ? "/dev/net/tun" : "/dev/fuse";
	struct sbx_err err;

	(void)d;
	if (probe_device(path, &err) == 0) {
		doctor_say(ret, DOCTOR_WORKS, "%s was opened", path);
		return;
	}
	hint_add(&err, probe->arg);
	doctor_blame(ret, &err);
}

/* Where it is, or NULL with the finding filled. */
static const char *helpers_find(struct doctor *d, const char *name, struct doctor_finding *ret)
{
	const char *path = probe_helper(&d->host, &d->spec, name);
	const char *remedy;

	if (path)
		return path;
	doctor_say(ret, DOCTOR_FAILS, "%s is not installed", name);
	remedy = probe_helper_remedy(&d->host, name);
	if (remedy)
		doctor_mend(ret, "%s", remedy);
	return NULL;
}

/* ---- versions ---- */

/* The oldest that sbx is tested with. */
static const struct helpers_version {
	const char *name;
	unsigned version[3];
} helpers_versions[] = {
	{"fuse-overlayfs", {1, 10, 0}},
	{"slirp4netns", {1, 2, 0}},
};

static bool helpers_is_older(const unsigned version[3], const unsigned than[3])
{
	for (size_t i = 0; i < 3; i++)
		if (version[i] != than[i])
			return version[i] < than[i];
	return false;
}

static const unsigned *helpers_tested(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(helpers_versions); i++)
		if (str_equal(helpers_versions[i].name, name))
			return helpers_versions[i].version;
	return NULL;
}

/* In the child. fuse-overlayfs tells fusermount's version first: the line with its name counts. */
static int helpers_ask_version(struct doctor *d, const struct doctor_probe *probe,
			       struct doctor_answer *answer, struct sbx_err *err)
{
	const char *const argv[] = {probe_helper(&d->host, &d->spec, probe->name), "--version",
				    NULL};
	char *text, *line;
	int r = doctor_capture(d, argv, &text, err);

	if (r < 0)
		return r;
	line = strstr(text, probe->name);
	line = line ? line : text;
	line[strcspn(line, "\n")] = '\0';
	str_copy(answer->text, sizeof(answer->text), line);
	return 0;
}

DOCTOR_PROBE(helper)
{
	const unsigned *tested = helpers_tested(probe->name);
	const char *path = helpers_find(d, probe->name, ret);
	struct doctor_answer answer;
	unsigned version[3];

	if (!path || !doctor_try(d, probe, 0, helpers_ask_version, &answer, ret))
		return;
	if (!doctor_parse_version(answer.text, version))
		doctor_say(ret, DOCTOR_LIMITED, "%s does not tell its version", path);
	else if (tested && helpers_is_older(version, tested))
		doctor_say(ret, DOCTOR_LIMITED,
			   "%s is version %u.%u.%u; the oldest that sbx is tested with is "
			   "%u.%u.%u",
			   path, version[0], version[1], version[2], tested[0], tested[1],
			   tested[2]);
	else
		doctor_say(ret, DOCTOR_WORKS, "%s, version %u.%u.%u", path, version[0], version[1],
			   version[2]);
}

/* ---- nft ---- */

/* In a network namespace of the child's own: a chain, as it takes to keep packets in. */
static int helpers_use_nft(struct doctor *d, const struct doctor_probe *probe,
			   struct doctor_answer *answer, struct sbx_err *err)
{
	static const char rules[] =
		"add table inet sbx; "
		"add chain inet sbx out { type filter hook output priority 0; policy accept; }; "
		"add rule inet sbx out ip daddr 127.0.0.0/8 drop";
	const char *const argv[] = {probe_helper(&d->host, &d->spec, probe->name), rules, NULL};
	_autoclose_ int fd = nftables_open();
	char *text;
	int r = doctor_capture(d, argv, &text, err);

	(void)answer;
	if (r == 0 && (fd < 0 || nftables_count_rules(fd, "sbx", "out") != 1))
		r = err_refuse(err, ECANCELED, argv[0],
			       "has ended without an error and has not set the rule");
	if (r < 0)
		hint_add(err, HINT_NFT_HERE);
	return r;
}

DOCTOR_PROBE(nft)
{
	const char *path = helpers_find(d, probe->name, ret);
	struct doctor_answer answer;

	if (path &&
	    doctor_try(d, probe, CLONE_NEWUSER | CLONE_NEWNET, helpers_use_nft, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS, "%s has set a rule in a network of its own", path);
}
