/* SPDX-License-Identifier: MIT */
/*
 * e2e terminal: sbx typed at an interactive shell behaves as any command does.
 * See shell.h.
 */
#include "shell.h"

Test(terminal, ctrl_c_ends_the_command_and_the_shell_knows)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX -- sh -c 'echo rea''dy; exec sleep 300'");
	expect_text(&session, "ready");
	session_send(&session, "\003");
	expect_text(&session, "outer> ");
	expect_status(&session, "130");
}

Test(terminal, ctrl_c_can_be_caught_by_the_command)
{
	_autosession_ struct session session;

	shell_start(&session);
	/* No read while the key is awaited: a signal just in front of it waits for the line. */
	type_line(&session, "$SBX -- bash -c 'trap \"echo cau\"\"ght; n=1\" INT; echo rea''dy;"
			    " until test \"$n\"; do sleep 0.05; done;"
			    " read -r line; echo li''ne=$line; exit 9'");
	expect_text(&session, "ready");
	session_send(&session, "\003");
	expect_text(&session, "caught");
	type_line(&session, "one");
	expect_text(&session, "line=one");
	expect_text(&session, "outer> ");
	expect_status(&session, "9");
}

Test(terminal, ctrl_z_stops_and_fg_goes_on)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session,
		  "$SBX -- bash -c 'echo rea''dy; read -r line; echo li''ne=$line; exit 4'");
	expect_text(&session, "ready");
	session_send(&session, "\032");
	expect_text(&session, "Stopped");
	expect_text(&session, "outer> ");
	type_line(&session, "echo between; fg");
	expect_text(&session, "between\r\n");
	type_line(&session, "hello");
	expect_text(&session, "line=hello");
	expect_text(&session, "outer> ");
	expect_status(&session, "4");
}

Test(terminal, the_window_size_is_seen_and_its_changes_too)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX -- bash -c 'trap \"stty size; exit 8\" WINCH; stty size;"
			    " echo rea''dy; sleep 300 & wait'");
	expect_text(&session, "24 200");
	expect_text(&session, "ready");
	session_resize(&session, 50, 132);
	expect_text(&session, "50 132");
	expect_text(&session, "outer> ");
	expect_status(&session, "8");
}

Test(terminal, an_interactive_shell_inside_has_job_control)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX --setenv PS1 'in''ner> ' -- bash --norc --noediting -i");
	expect_text(&session, "inner> ");
	cr_expect_not(strstr(session.result.out, "job control"), "%s", session.result.out);
	type_line(&session, "cat");
	type_line(&session, "one");
	expect_text(&session, "one\r\none\r\n");
	session_send(&session, "\032");
	expect_text(&session, "Stopped");
	expect_text(&session, "inner> ");
	type_line(&session, "sleep 300 & jobs; kill %2");
	expect_text(&session, "Running");
	type_line(&session, "fg %1");
	expect_text(&session, "cat\r\n");
	type_line(&session, "two");
	expect_text(&session, "two\r\ntwo\r\n");
	session_send(&session, "\003");
	expect_text(&session, "inner> ");
	expect_status(&session, "130");
	type_line(&session, "exit 3");
	expect_text(&session, "outer> ");
	expect_status(&session, "3");
}

Test(terminal, a_full_screen_program_that_suspends_itself_comes_back)
{
	_autosession_ struct session session;

	/* As vi does on Ctrl-Z: a raw terminal, restored, then the whole group stopped. */
	shell_start(&session);
	type_line(&session, "$SBX -- bash -c 'stty -icanon -echo -isig; echo ra''w;"
			    " dd bs=1 count=1 >/dev/null 2>&1; stty sane; kill -TSTP 0;"
			    " echo re''sumed; exit 2'");
	expect_text(&session, "raw");
	session_send(&session, "\032");
	expect_text(&session, "Stopped");
	expect_text(&session, "outer> ");
	type_line(&session, "fg");
	expect_text(&session, "resumed");
	expect_text(&session, "outer> ");
	expect_status(&session, "2");
}

Test(terminal, reading_in_the_background_stops_and_fg_reads)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX -- cat &");
	expect_text(&session, "outer> ");
	type_line(&session, "while ! jobs -s | grep -q cat; do sleep 0.05; done; jobs");
	expect_text(&session, "Stopped");
	expect_text(&session, "outer> ");
	type_line(&session, "fg");
	expect_text(&session, "-- cat\r\n");
	type_line(&session, "typed");
	expect_text(&session, "typed\r\ntyped\r\n");
	session_send(&session, "\004");
	expect_text(&session, "outer> ");
	expect_status(&session, "0");
}

Test(terminal, the_terminal_is_there_inside)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX -- bash -c 'test -t 0 && test -t 1 && test -t 2 && echo is''tty;"
			    " echo to-t''ty > /dev/tty; test -c /dev/console && echo con''sole'");
	expect_text(&session, "istty");
	expect_text(&session, "to-tty");
	expect_text(&session, "console");
	expect_text(&session, "outer> ");
	expect_status(&session, "0");
}

Test(terminal, a_new_session_is_out_of_the_terminals_reach)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session, "$SBX --new-session -- bash -c 'echo x 2>/dev/null > /dev/tty ||"
			    " echo no-t''ty; exec sleep 300'");
	expect_text(&session, "no-tty");
	session_send(&session, "\003");
	expect_text(&session, "outer> ");
	expect_status(&session, "130");
}

/* As with docker exec -t: the name that the terminal has is one of another devpts. */
Test(terminal, one_of_another_devpts_is_no_console)
{
	_autosession_ struct session session;

	shell_start(&session);
	type_line(&session,
		  "unshare -Urm sh -c 'mount -t devpts -o newinstance d /dev/pts; exec \"$@\"' sh"
		  " $SBX --map=single -- sh -c 'test ! -e /dev/console && echo no-con''sole'");
	expect_text(&session, "no-console");
	expect_text(&session, "outer> ");
	expect_status(&session, "0");
}
