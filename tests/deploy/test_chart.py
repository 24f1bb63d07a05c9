"""The Helm chart: lint, schemas of every value set, and what the services count on at run time."""
import re
import unittest

from deploy_tools import (CHART, KUBERNETES_VERSIONS, SERVICES, VALUE_SETS, container, deployment, helm, jsonschema,
                          known_metrics, known_settings, kubernetes_validate, needs_helm, needs_schemas, of_kind,
                          render, settings_file, yaml)
from custom_resources import CUSTOM_RESOURCES


@needs_helm
class Lint(unittest.TestCase):
    def test_every_value_set_lints_clean(self):
        for values in VALUE_SETS:
            with self.subTest(values.stem):
                result = helm("lint", "--strict", CHART, "--kube-version", "1.31.0", "--values", values)
                self.assertEqual(result.returncode, 0, result.stdout)
                self.assertNotRegex(result.stdout, "WARNING|ERROR")

    def test_an_unknown_value_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "replicas"):
            render(None, "generation.replicas=3")

    def test_a_setting_that_the_chart_makes_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "config.port"):
            render(None, "config.port=1")

    def test_the_device_is_said_by_gpu_enabled(self):
        with self.assertRaisesRegex(ValueError, "config.device"):
            render(None, "config.device=cuda")

    def test_services_that_would_not_find_each_others_chunks_are_refused(self):
        for settings in (["generation.gpu.enabled=true", "selector.gpu.enabled=true"],
                         ["gpu.enabled=true", "generation.gpu.enabled=false"]):
            with self.assertRaisesRegex(ValueError, "gpu.enabled: ingestion has"):
                render(None, *settings)
        mixed = ("gpu.enabled=true", "selector.gpu.enabled=false")
        with self.assertRaisesRegex(ValueError, "selector.gpu.enabled: a selector that is the primary, truncated"):
            render(None, *mixed)
        for way_out in ("selector.config.selector_model=/models/small", "config.selector=no", "config.selector=false"):
            render(None, *mixed, way_out)

    def test_a_drain_shorter_than_the_longest_generation_is_refused(self):
        with self.assertRaisesRegex(ValueError, "drainSeconds"):
            render(None, "generation.config.default_deadline_seconds=600")

    def test_a_store_without_its_address_is_refused(self):
        with self.assertRaisesRegex(ValueError, "objectStore.url"):
            render(None, "objectStore.type=s3")
        with self.assertRaisesRegex(ValueError, "tls.existingSecret"):
            render(None, "tls.enabled=true")

    def test_a_bucket_is_not_bounded_by_object_bytes(self):
        with self.assertRaisesRegex(ValueError, "config.object_bytes: .*lifecycle rules"):
            render("s3-only", "config.object_bytes=1GiB")
        render("gpu", "config.object_bytes=1GiB")

    def test_certificates_for_a_redis_without_tls_are_refused(self):
        with self.assertRaisesRegex(ValueError, "redis.tls.existingSecret"):
            render(None, "redis.tls.existingSecret=redis-tls")
        with self.assertRaisesRegex(ValueError, "redis.catalog.tls.existingSecret"):
            render(None, "redis.catalog.tls.existingSecret=catalog-tls", "redis.catalog.url=redis://catalog")


@needs_helm
@needs_schemas
class Schemas(unittest.TestCase):
    def test_every_value_set_validates_against_the_schemas_of_kubernetes(self):
        for values in VALUE_SETS:
            for manifest in render(values.stem):
                if manifest["kind"] in CUSTOM_RESOURCES:
                    continue
                for version in KUBERNETES_VERSIONS:
                    with self.subTest(f"{values.stem}: {manifest['kind']} {manifest['metadata']['name']}, {version}"):
                        kubernetes_validate.validate(manifest, version, strict=True)

    def test_custom_resources_have_the_fields_of_their_definitions(self):
        seen = set()
        for values in VALUE_SETS:
            for manifest in render(values.stem):
                if manifest["kind"] in CUSTOM_RESOURCES:
                    seen.add(manifest["kind"])
                    jsonschema.validate(manifest, CUSTOM_RESOURCES[manifest["kind"]])
        self.assertEqual(seen, set(CUSTOM_RESOURCES))

    def test_names_are_unique_and_labels_short(self):
        for values in VALUE_SETS:
            manifests = render(values.stem)
            names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
            self.assertEqual(len(names), len(set(names)), values.stem)
            for manifest in manifests:
                for value in manifest["metadata"]["labels"].values():
                    self.assertRegex(value, r"^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$")


@needs_helm
class Pods(unittest.TestCase):
    def test_settings_are_those_of_the_programs(self):
        for values in VALUE_SETS:
            for service in [*SERVICES, *(["preload"] if of_kind(render(values.stem), "Job") else [])]:
                unknown = set(settings_file(render(values.stem), service)) - known_settings()
                self.assertEqual(unknown, set(), f"{values.stem}: {service}")

    def test_liveness_asks_for_the_process_and_readiness_for_the_service(self):
        for service in SERVICES:
            program = container(render(), service)
            self.assertEqual(program["livenessProbe"]["grpc"], {"port": 50051})
            self.assertEqual(program["startupProbe"]["grpc"], {"port": 50051})
            self.assertEqual(program["readinessProbe"]["grpc"],
                             {"port": 50051, "service": f"cacheclip.v1.{service.title()}Service"})

    def test_under_tls_probes_run_the_program_because_kubernetes_probes_in_the_clear(self):
        command = container(render("tls"), "selector")["readinessProbe"]["exec"]["command"]
        self.assertEqual(command[:2], ["cacheclip", "health"])
        self.assertIn("--tls-client-key", command)
        self.assertEqual(command[command.index("--tls-server-name") + 1], "release-cacheclip-selector")
        self.assertEqual(command[command.index("--service") + 1], "cacheclip.v1.SelectorService")

    def test_the_grace_period_covers_pre_stop_and_drain_and_the_drain_the_longest_generation(self):
        for values in VALUE_SETS:
            for service in SERVICES:
                settings = settings_file(render(values.stem), service)
                pod = deployment(render(values.stem), service)["spec"]["template"]["spec"]
                pause = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
                self.assertGreater(settings["drain_seconds"], settings.get("default_deadline_seconds", 120))
                self.assertGreater(pod["terminationGracePeriodSeconds"], settings["drain_seconds"] + pause)

    def test_pods_run_without_root_and_with_a_read_only_file_system(self):
        for values in VALUE_SETS:
            for service in SERVICES:
                pod = deployment(render(values.stem), service)["spec"]["template"]["spec"]
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                for program in pod["containers"] + pod.get("initContainers", []):
                    self.assertTrue(program["securityContext"]["readOnlyRootFilesystem"])
                    self.assertEqual(program["securityContext"]["capabilities"], {"drop": ["ALL"]})

    def test_every_mount_has_its_volume(self):
        for values in VALUE_SETS:
            for manifest in render(values.stem):
                if manifest["kind"] not in ("Deployment", "Job"):
                    continue
                pod = manifest["spec"]["template"]["spec"]
                volumes = {volume["name"] for volume in pod["volumes"]}
                for program in pod["containers"] + pod.get("initContainers", []):
                    mounts = {mount["name"] for mount in program["volumeMounts"]}
                    self.assertLessEqual(mounts, volumes, manifest["metadata"]["name"])

    def test_a_service_overrides_what_holds_for_all(self):
        manifests = render(None, "replicaCount=3", "selector.replicaCount=5", "nodeSelector.pool=cpu",
                           "pdb.enabled=true", "selector.pdb.enabled=false", "generation.image.repository=mine")
        self.assertEqual(deployment(manifests, "ingestion")["spec"]["replicas"], 3)
        self.assertEqual(deployment(manifests, "selector")["spec"]["replicas"], 5)
        self.assertNotIn("release-cacheclip-selector", of_kind(manifests, "PodDisruptionBudget"))
        self.assertTrue(container(manifests, "ingestion")["image"].startswith("cacheclip-ingestion:"))
        self.assertTrue(container(manifests, "generation")["image"].startswith("mine:"))

    def test_a_change_of_settings_restarts_the_pods(self):
        def checksum(*settings):
            template = deployment(render(None, *settings), "generation")["spec"]["template"]
            return template["metadata"]["annotations"]["checksum/config"]
        self.assertNotEqual(checksum(), checksum("generation.config.window=16"))

    def test_gpus_go_to_those_services_that_ask(self):
        manifests = render("gpu")
        self.assertEqual(container(manifests, "generation")["resources"]["limits"]["nvidia.com/gpu"], 1)
        self.assertTrue(container(manifests, "generation")["image"].endswith("-cuda"))
        self.assertEqual(settings_file(manifests, "generation")["device"], "cuda")
        pod = deployment(manifests, "generation")["spec"]["template"]["spec"]
        self.assertEqual(pod["nodeSelector"], {"nvidia.com/gpu.present": "true"})
        self.assertEqual({item["key"] for item in pod["tolerations"]}, {"nvidia.com/gpu", "dedicated"})
        self.assertEqual(settings_file(render(), "generation")["device"], "cpu")
        manifests = render("gpu", "selector.gpu.enabled=false", "selector.config.selector_model=/models/small")
        self.assertNotIn("nvidia.com/gpu", container(manifests, "selector")["resources"]["limits"])
        self.assertEqual(settings_file(manifests, "selector")["device"], "cpu")


@needs_helm
class Stores(unittest.TestCase):
    def test_kv_and_catalogue_have_servers_with_policies_of_their_own(self):
        maps = of_kind(render(), "ConfigMap")
        self.assertIn("maxmemory-policy volatile-lru", maps["release-cacheclip-redis-kv"]["data"]["redis.conf"])
        catalog = maps["release-cacheclip-redis-catalog"]["data"]["redis.conf"]
        self.assertIn("maxmemory-policy noeviction", catalog)
        self.assertIn("appendonly yes", catalog)
        settings = settings_file(render(), "generation")
        self.assertEqual(settings["redis_url"], "redis://release-cacheclip-redis-kv:6379")
        self.assertEqual(settings["catalog_url"], "redis://release-cacheclip-redis-catalog:6379")

    def test_servers_of_others_replace_the_charts_own(self):
        manifests = render("redis-cluster")
        self.assertEqual(of_kind(manifests, "StatefulSet"), {})
        settings = settings_file(manifests, "ingestion")
        self.assertEqual(settings["redis_cluster"], "yes")
        self.assertEqual(settings["redis_password_file"], "/etc/cacheclip/redis/password")
        self.assertEqual(settings["redis_tls_key"], "/etc/cacheclip/redis-tls/tls.key")

    def test_the_catalogue_has_settings_of_its_own(self):
        settings = settings_file(render("redis-cluster"), "ingestion")
        self.assertEqual(settings["catalog_cluster"], "no")
        self.assertEqual(settings["catalog_tls_ca"], "/etc/cacheclip/catalog-tls/ca.crt")
        self.assertNotIn("catalog_tls_key", settings)
        settings = settings_file(render("redis-cluster", "redis.catalog.tls.existingSecret="), "ingestion")
        self.assertEqual(settings["catalog_tls_ca"], "/etc/cacheclip/redis-tls/ca.crt")
        self.assertEqual(settings["catalog_tls_key"], "/etc/cacheclip/redis-tls/tls.key")

    def test_a_plain_catalogue_beside_kv_by_tls_gets_no_certificates(self):
        settings = settings_file(render("redis-cluster", "redis.catalog.url=redis://catalog",
                                        "redis.catalog.tls.existingSecret="), "generation")
        self.assertEqual(settings["redis_tls_ca"], "/etc/cacheclip/redis-tls/ca.crt")
        self.assertEqual({key for key in settings if key.startswith("catalog_tls")}, set())

    def test_s3_alone_leaves_out_the_redis_tier_and_its_server(self):
        manifests = render("s3-only")
        settings = settings_file(manifests, "generation")
        self.assertNotIn("redis_url", settings)
        self.assertEqual(settings["object_url"], "s3://cacheclip/chunks")
        self.assertEqual(settings["s3_path_style"], "yes")
        self.assertEqual(set(of_kind(manifests, "StatefulSet")), {"release-cacheclip-redis-catalog"})

    def test_secrets_stay_out_of_config_maps_and_command_lines(self):
        for value_set, secret in (("s3-only", "change-me"), ("tls", "change-me"), ("tls", "another")):
            for manifest in render(value_set):
                if manifest["kind"] != "Secret":
                    self.assertNotIn(secret, yaml.safe_dump(manifest), manifest["metadata"]["name"])

    def test_preload_workers_share_a_queue_and_the_services_settings(self):
        manifests = render("redis-cluster")
        job, = of_kind(manifests, "Job").values()
        cron = of_kind(manifests, "CronJob")["release-cacheclip-preload"]
        self.assertEqual(job["spec"]["completions"], 3)
        self.assertEqual(cron["spec"]["concurrencyPolicy"], "Forbid")
        program = job["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(program["command"], ["cacheclip", "preload"])
        self.assertIn("$(JOB_NAME)", program["args"])
        self.assertEqual(program["args"][-1], "/manifests/corpus.jsonl")
        services = dict(settings_file(manifests, "ingestion"))
        self.assertEqual(settings_file(manifests, "preload"), services)


def _preload_job(manifests):
    job, = of_kind(manifests, "Job").values()
    return job


@needs_helm
class Preload(unittest.TestCase):
    def test_it_computes_where_ingestion_does_with_a_settings_file_of_its_own(self):
        manifests = render("gpu")
        self.assertEqual(settings_file(manifests, "preload"), settings_file(manifests, "ingestion"))
        self.assertEqual(settings_file(manifests, "preload")["device"], "cuda")
        pod = _preload_job(manifests)["spec"]["template"]["spec"]
        program = pod["containers"][0]
        self.assertEqual(program["image"], container(manifests, "ingestion")["image"])
        self.assertTrue(program["image"].endswith("-cuda"))
        self.assertEqual(program["resources"]["limits"], {"nvidia.com/gpu": 1, "memory": "4Gi"})
        self.assertEqual(pod["runtimeClassName"], "nvidia")
        self.assertEqual({item["key"] for item in pod["tolerations"]}, {"nvidia.com/gpu"})
        config, = (volume for volume in pod["volumes"] if volume["name"] == "config")
        self.assertEqual(config["configMap"]["name"], "release-cacheclip-preload")
        on_cpus = _preload_job(render(None, "preload.enabled=true"))["spec"]["template"]["spec"]["containers"][0]
        self.assertFalse(on_cpus["image"].endswith("-cuda"))
        self.assertEqual(on_cpus["resources"]["limits"], {"memory": "4Gi"})

    def test_it_writes_through_because_its_volume_goes_with_it(self):
        manifests = render(None, "preload.enabled=true", "config.write_mode=back")
        self.assertEqual(settings_file(manifests, "ingestion")["write_mode"], "back")
        self.assertNotIn("write_mode", settings_file(manifests, "preload"))

    def test_what_changes_chunks_makes_a_new_job_and_with_it_a_new_queue(self):
        def name(*settings):
            return _preload_job(render(None, "preload.enabled=true", *settings))["metadata"]["name"]
        names = [name(), name("config.kv_dtype=int8"), name("ingestion.config.kv_dtype=int8", "config.dtype=fp32"),
                 name("model.name=other"), name("model.fetch.revision=other"), name("salts.default=one"),
                 name("salts.default=two"), name("salts.namespaces.team-a=one"),
                 name("salts.namespaces.team-a=two"), name("preload.sources={s3://other/}")]
        self.assertEqual(len(names), len(set(names)), names)
        self.assertEqual(name(), name("generation.replicaCount=7", "generation.config.window=4"))
        job = _preload_job(render(None, "preload.enabled=true"))
        environment = {item["name"]: item for item in job["spec"]["template"]["spec"]["containers"][0]["env"]}
        self.assertIn("job-name", environment["JOB_NAME"]["valueFrom"]["fieldRef"]["fieldPath"])


@needs_helm
class Reach(unittest.TestCase):
    def test_the_selector_is_for_the_cluster_itself_only(self):
        policy = of_kind(render("tls"), "NetworkPolicy")["release-cacheclip-selector"]
        sources = policy["spec"]["ingress"][0]["from"]
        self.assertEqual(len(sources), 1)
        self.assertIn("podSelector", sources[0])

    def test_the_ingress_gives_ingestion_only_when_told(self):
        def paths(*settings):
            ingress = of_kind(render(None, "ingress.enabled=true", *settings), "Ingress")["release-cacheclip"]
            return [path["path"] for path in ingress["spec"]["rules"][0]["http"]["paths"]]
        self.assertEqual(paths(), ["/cacheclip.v1.GenerationService"])
        self.assertIn("/cacheclip.v1.IngestionService", paths("ingress.ingestion=true"))

    def test_replicas_are_left_to_the_autoscaler(self):
        manifests = render("keda")
        self.assertNotIn("replicas", deployment(manifests, "generation")["spec"])
        self.assertIn("release-cacheclip-generation", of_kind(manifests, "ScaledObject"))
        self.assertIn("release-cacheclip-selector", of_kind(manifests, "HorizontalPodAutoscaler"))


class Metrics(unittest.TestCase):
    def test_dashboards_rules_and_triggers_name_metrics_that_exist(self):
        for path in [*CHART.glob("dashboards/*.json"), *CHART.glob("templates/*.yaml")]:
            # Names of templates are written cacheclip.name, those of objects with hyphens.
            for name in set(re.findall(r"\bcacheclip_[a-z0-9_]+", path.read_text())):
                self.assertIn(name, known_metrics(), path.name)


if __name__ == "__main__":
    unittest.main()
