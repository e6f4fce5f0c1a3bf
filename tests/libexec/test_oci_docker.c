/* SPDX-License-Identifier: MIT */
/* Docker's profiles, which ./bootstrap --programs has unpacked, as podman's in test_oci.c. */

#include "oci_compare.h"
#include "testlib.h"

Test(oci_docker, its_profile_does_what_it_says)
{
	oci_compare_file(TEST_DOCKER "/default.json", false);
}

Test(oci_docker, its_profile_of_2016_does_what_it_says)
{
	oci_compare_file(TEST_DOCKER "/fixtures/default-old-format.json", false);
}
