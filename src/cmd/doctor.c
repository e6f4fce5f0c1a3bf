/* SPDX-License-Identifier: MIT */
/*
 * doctor: `sbx doctor [PROBE...]`: what works here, what does not, and what to do.
 *
 * The probes are a table (sbx/doctor/table.h). Each is made, shown and counted; the worst
 * of them is the exit code.
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/json.h"
#include "sbx/cli/options.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/words.h"
#include "sbx/doctor/doctor.h"
#include "sbx/spec/probe.h"
#include "sbx_config.h"

extern char **environ;

enum {
	DOCTOR_EXIT_WELL = 0,
	DOCTOR_EXIT_LAUNCH = 1,	 /* as for a verb that failed */
	DOCTOR_EXIT_OPTIONS = 3, /* with --strict; 2 is wrong usage */
};

enum { DOCTOR_OPTION_MAX = 48, DOCTOR_TEXT_MAX = 8192 };

/* What was asked for, and what has come of it. */
struct visit {
	const struct cmd_words *words;
	bool quiet, colour, for_programs;
	struct sink *sink;
	struct json_out json;
	size_t count[DOCTOR_STATUS_COUNT_];
	bool launch_fails, option_fails;
};

/* ---- options of a probe ---- */

/* Has this version such an option? "--net=user" is one only where that word is; in
 * "--net=NAME" stands what the caller chooses. */
static bool doctor_has_option(const char *option, size_t len)
{
	const char *equals = memchr(option, '=', len);
	const struct cli_option *found =
		cli_find_option(option, equals ? (size_t)(equals - option) : len);
	const char *word;
	int64_t value;

	if (!found || !equals || isupper((unsigned char)equals[1]))
		return found != NULL;
	for (size_t i = 0; (word = cli_option_word(found, i, &value)); i++)
		if (strlen(word) == len - (size_t)(equals + 1 - option) &&
		    strncmp(word, equals + 1, strlen(word)) == 0)
			return true;
	return false;
}

/* The next option of a probe that there is. Return: false behind the last. */
static bool doctor_next_option(const char **at, char ret_option[DOCTOR_OPTION_MAX])
{
	while (**at) {
		const char *option = *at;
		size_t len = strcspn(option, " ");

		*at += len + strspn(option + len, " ");
		if (!doctor_has_option(option, len) || len >= DOCTOR_OPTION_MAX)
			continue;
		memcpy(ret_option, option, len);
		ret_option[len] = '\0';
		return true;
	}
	return false;
}

/* "every sandbox", "--sys", "--map=range, --user". */
static void doctor_add_needs(const struct doctor_probe *probe, struct str_buf *out)
{
	char option[DOCTOR_OPTION_MAX];
	const char *at = probe->options;
	bool any = false;

	if (probe->need == DOCTOR_FOR_LAUNCH) {
		str_buf_puts(out, "every sandbox");
		return;
	}
	while (doctor_next_option(&at, option)) {
		str_buf_printf(out, "%s%s", any ? ", " : "", option);
		any = true;
	}
	if (!any)
		str_buf_puts(out, "no option of this version");
}

/* Would anything that can be asked for fail without it? */
static bool doctor_matters(const struct doctor_probe *probe)
{
	char option[DOCTOR_OPTION_MAX];
	const char *at = probe->options;

	return probe->need == DOCTOR_FOR_LAUNCH || doctor_next_option(&at, option);
}

/* ---- showing ---- */

static void doctor_add_json(struct json_out *json, const struct doctor_probe *probe,
			    const struct doctor_finding *finding)
{
	char option[DOCTOR_OPTION_MAX];
	const char *at = probe->options;

	json_open_object(json, NULL);
	json_add_string(json, "name", probe->name);
	json_add_string(json, "title", probe->title);
	json_add_string(json, "status", doctor_status_names[finding->status]);
	json_add_string(json, "detail", finding->detail);
	json_add_string(json, "remedy", finding->remedy[0] ? finding->remedy : NULL);
	json_add_string(json, "needed-by", doctor_need_names[probe->need]);
	json_open_array(json, "options");
	while (doctor_next_option(&at, option))
		json_add_string(json, NULL, option);
	json_close(json);
	json_add_string(json, "why", probe->why);
	json_close(json);
}

/* Lines below a probe's own, behind its name. */
static void doctor_add_block(struct str_buf *out, const char *label, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		str_buf_printf(out, "%26s%-6s", "", label);
		str_buf_escape(out, text, len);
		str_buf_puts(out, "\n");
		text += len + (text[len] == '\n');
		label = "";
	}
}

static void doctor_add_text(const struct visit *v, const struct doctor_probe *probe,
			    const struct doctor_finding *finding)
{
	static const char *const colours[DOCTOR_STATUS_COUNT_] = {
		[DOCTOR_WORKS] = "\033[32m",
		[DOCTOR_LIMITED] = "\033[33m",
		[DOCTOR_FAILS] = "\033[31m",
		[DOCTOR_FACT] = "\033[36m",
	};
	char room[DOCTOR_TEXT_MAX], why_room[512];
	struct str_buf out = STR_BUF_ON_STACK(room), why = STR_BUF_ON_STACK(why_room);

	str_buf_printf(&out, "%s%-7s%s %-17s ", v->colour ? colours[finding->status] : "",
		       doctor_status_names[finding->status], v->colour ? "\033[0m" : "",
		       probe->name);
	str_buf_printf(&out, "%s: ", probe->title);
	str_buf_escape(&out, finding->detail, strlen(finding->detail));
	str_buf_puts(&out, "\n");
	if (probe->need != DOCTOR_FOR_NOTHING) {
		doctor_add_needs(probe, &why);
		str_buf_printf(&why, ": %s", probe->why);
		doctor_add_block(&out, "for", why.data);
	}
	doctor_add_block(&out, "mend", finding->remedy);
	sink_puts(v->sink, out.data);
}

static void doctor_note(struct visit *v, const struct doctor_probe *probe,
			const struct doctor_finding *finding)
{
	bool bad = finding->status == DOCTOR_FAILS || finding->status == DOCTOR_LIMITED;

	v->count[finding->status]++;
	if (finding->status == DOCTOR_FAILS) {
		/* Who names a probe needs it. */
		if (probe->need == DOCTOR_FOR_LAUNCH || v->words->n_operands)
			v->launch_fails = true;
		else if (doctor_matters(probe))
			v->option_fails = true;
	}
	if (v->quiet && !bad)
		return;
	if (v->for_programs)
		doctor_add_json(&v->json, probe, finding);
	else
		doctor_add_text(v, probe, finding);
}

static void doctor_sum_up(const struct visit *v)
{
	char room[512];
	struct str_buf out = STR_BUF_ON_STACK(room);

	if (v->quiet || v->words->n_operands)
		return;
	str_buf_printf(&out, "\n%s",
		       v->launch_fails ? "sbx cannot make a sandbox here as it should."
				       : "sbx can make sandboxes here.");
	str_buf_printf(&out,
		       " Of %zu probes %zu found that it works, %zu that it does in part, "
		       "%zu that it does not.\n",
		       v->count[DOCTOR_WORKS] + v->count[DOCTOR_LIMITED] + v->count[DOCTOR_FAILS],
		       v->count[DOCTOR_WORKS], v->count[DOCTOR_LIMITED], v->count[DOCTOR_FAILS]);
	sink_puts(v->sink, out.data);
}

/* See no-color.org. */
static bool doctor_wants_colour(void)
{
	const char *no_color = probe_env(environ, "NO_COLOR"), *term = probe_env(environ, "TERM");

	return isatty(STDOUT_FILENO) == 1 && !(no_color && *no_color) && term &&
	       !str_equal(term, "dumb");
}

/* ---- doing ---- */

static int doctor_check_names(const struct cmd_words *words, struct sbx_err *err)
{
	char room[1024];
	struct str_buf names = STR_BUF_ON_STACK(room);

	for (int i = 0; i < words->n_operands; i++) {
		if (doctor_find(words->operands[i]))
			continue;
		(void)err_usage(err, words->operands[i], "there is no such probe");
		for (size_t p = 0; p < doctor_n_probes; p++)
			str_buf_printf(&names, "%s%s", p ? (p % 6 ? " " : "\n") : "",
				       doctor_probes[p].name);
		err_hint(err, "there are %s", names.data);
		return -EINVAL;
	}
	return 0;
}

static bool doctor_is_wanted(const struct cmd_words *words, const struct doctor_probe *probe)
{
	for (int i = 0; i < words->n_operands; i++)
		if (str_equal(words->operands[i], probe->name))
			return true;
	return words->n_operands == 0;
}

static void doctor_examine(struct visit *v, struct doctor *doctor)
{
	for (size_t i = 0; i < doctor_n_probes; i++) {
		struct doctor_finding finding = {.status = DOCTOR_FACT};

		if (!doctor_is_wanted(v->words, &doctor_probes[i]))
			continue;
		doctor_probes[i].run(doctor, &doctor_probes[i], &finding);
		doctor_note(v, &doctor_probes[i], &finding);
	}
}

static int doctor_report(struct visit *v, struct doctor *doctor, struct sbx_err *err)
{
	int r;

	if (v->for_programs) {
		json_open_object(&v->json, NULL);
		json_add_string(&v->json, "sbx", SBX_VERSION);
		json_open_array(&v->json, "probes");
	}
	doctor_examine(v, doctor);
	if (v->for_programs) {
		json_close(&v->json);
		json_add_bool(&v->json, "works", !v->launch_fails);
		json_close(&v->json);
		sink_puts(v->sink, "\n");
	} else {
		doctor_sum_up(v);
	}
	r = sink_finish(v->sink);
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

int cmd_doctor(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	char room[16384];
	struct sink sink = SINK_TO_FD(STDOUT_FILENO, room);
	struct cmd_words words = {.n_given = 0};
	struct visit visit = {.words = &words,
			      .colour = doctor_wants_colour(),
			      .sink = &sink,
			      .json = JSON_OUT(&sink)};
	struct doctor doctor;
	int r = cmd_words_read(argc, argv, &words, err);

	if (r == 0)
		r = doctor_check_names(&words, err);
	if (r < 0)
		return r;
	visit.quiet = words.value[CMD_OPT_QUIET] != NULL;
	visit.for_programs = words.value[CMD_OPT_JSON] != NULL;
	r = doctor_init(&doctor, environ, err);
	if (r == 0)
		r = doctor_report(&visit, &doctor, err);
	doctor_finish(&doctor);
	if (r < 0)
		return r;
	*ret_exit_code = visit.launch_fails				     ? DOCTOR_EXIT_LAUNCH
			 : visit.option_fails && words.value[CMD_OPT_STRICT] ? DOCTOR_EXIT_OPTIONS
									     : DOCTOR_EXIT_WELL;
	return 0;
}
