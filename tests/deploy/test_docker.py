"""Dockerfiles and the compose file: lint, schema, and what both promise to a user."""
import json
import re
import subprocess
import unittest

from deploy_tools import ROOT, SERVICES, VENV, jsonschema, known_settings, needs, needs_yaml, program, yaml

DOCKERFILES = {path.name.split(".")[0]: path for path in (ROOT / "docker").glob("*.Dockerfile")}
COMPOSE = ROOT / "docker/compose.yaml"
COMPOSE_SCHEMA = VENV / "compose_spec.json"


class Dockerfiles(unittest.TestCase):
    def test_there_is_one_per_service_and_one_for_all(self):
        self.assertEqual(set(DOCKERFILES), {*SERVICES, "cacheclip"})

    @needs(program("hadolint"), "hadolint")
    def test_they_lint_clean(self):
        for path in DOCKERFILES.values():
            result = subprocess.run([program("hadolint"), "--failure-threshold", "style", str(path)], text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self.assertEqual((result.returncode, result.stdout), (0, ""), path.name)

    def test_the_stages_before_the_last_are_the_same(self):
        def build_stages(text):
            return text[text.index("ARG BASE"):text.rindex("\nFROM ")]
        self.assertEqual(len({build_stages(path.read_text()) for path in DOCKERFILES.values()}), 1)

    def test_images_run_as_a_numeric_user_and_answer_a_health_check(self):
        for service, path in DOCKERFILES.items():
            text = path.read_text()
            self.assertRegex(text, r"(?m)^USER 10001:10001$", path.name)
            self.assertRegex(text, r'(?m)^\s+CMD \["cacheclip", "health"\]$', path.name)
            entry = "cacheclip" if service == "cacheclip" else f"cacheclip-{service}"
            self.assertIn(f'ENTRYPOINT ["{entry}"]', text)

    def test_nothing_of_the_checkout_but_what_is_needed_is_sent(self):
        ignored = (ROOT / ".dockerignore").read_text().split()
        self.assertIn(".git", ignored)
        self.assertIn("build/*", ignored)
        self.assertIn("!build/image", ignored)


@needs_yaml
class Compose(unittest.TestCase):
    def setUp(self):
        self.file = yaml.safe_load(COMPOSE.read_text())
        self.services = self.file["services"]

    @needs(jsonschema and COMPOSE_SCHEMA.is_file(), "the schema of compose files")
    def test_it_validates_against_the_compose_specification(self):
        file = {key: value for key, value in self.file.items() if key != "name"}  # younger than the schema
        jsonschema.Draft7Validator(json.loads(COMPOSE_SCHEMA.read_text())).validate(file)

    def test_every_service_is_there_with_a_health_check_and_waits_for_its_stores(self):
        for service in SERVICES:
            self.assertEqual(self.services[service]["healthcheck"]["test"], ["CMD", "cacheclip", "health"])
            self.assertEqual(self.services[service]["depends_on"]["redis-catalog"], {"condition": "service_healthy"})
            self.assertEqual(self.services[service]["build"]["dockerfile"], f"docker/{service}.Dockerfile")

    def test_redis_policies_are_volatile_for_kv_and_none_for_the_catalogue(self):
        self.assertIn("--maxmemory-policy volatile-lru", self.services["redis-kv"]["command"])
        self.assertIn("--maxmemory-policy noeviction", self.services["redis-catalog"]["command"])
        self.assertIn("--appendonly yes", self.services["redis-catalog"]["command"])

    def test_ports_are_published_on_loopback_only(self):
        for name, service in self.services.items():
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name}: {port}")

    def test_settings_are_those_of_the_programs(self):
        known = known_settings()
        for service in SERVICES:
            for name in self.services[service]["environment"]:
                if name.startswith("CACHECLIP_"):
                    self.assertIn(name.removeprefix("CACHECLIP_").lower(), known)

    def test_services_are_given_longer_to_stop_than_they_drain(self):
        for service in SERVICES:
            minutes, = re.fullmatch(r"(\d+)m", self.services[service]["stop_grace_period"]).groups()
            drain = int(self.services[service]["environment"]["CACHECLIP_DRAIN_SECONDS"])
            self.assertGreater(60 * int(minutes), drain)


if __name__ == "__main__":
    unittest.main()
