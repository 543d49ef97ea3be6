"""A standalone Spark cluster of a site: a master on its ground, and a worker on each of its hosts.

Spark reads `s3://` through the file system that the cluster has for it. Hadoop's for S3 is not in
PySpark's package, so the bucket stands in a folder, object by object, that all workers see and that
Hadoop mounts under the bucket's name: names and bytes are the bucket's, the protocol is not.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyspark

from clouds import BUCKET
from conftest import wait_until
from machines import GROUND, Site, descendants, kill_all
from servers import free_port

HOME = Path(pyspark.__file__).parent
LIGHT = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""What JVMs that live for a minute on a shared machine are spared."""
CONF = f"""\
spark.master spark://{{ground}}:{{port}}
spark.driver.host {{ground}}
spark.driver.bindAddress {{ground}}
spark.driver.extraJavaOptions {LIGHT}
spark.executor.extraJavaOptions {LIGHT} -Dlog4j2.configurationFile=file://{{folder}}/conf/executor.properties
spark.executor.memory 512m
spark.cores.max 2
spark.scheduler.minRegisteredResourcesRatio 1.0
spark.scheduler.maxRegisteredResourcesWaitingTime 120s
spark.sql.shuffle.partitions 2
spark.sql.warehouse.dir {{folder}}/warehouse
spark.shuffle.io.maxRetries 1
spark.shuffle.io.retryWait 1s
spark.eventLog.enabled true
spark.eventLog.compress false
spark.eventLog.dir file://{{folder}}/events
spark.hadoop.fs.s3.impl org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme
spark.hadoop.fs.viewfs.overload.scheme.target.s3.impl org.apache.hadoop.fs.LocalFileSystem
spark.hadoop.fs.viewfs.mounttable.{BUCKET}.linkFallback file://{{bucket}}
"""
EXECUTOR_LOG = """\
rootLogger.level = info
rootLogger.appenderRef.tasks.ref = tasks
appender.tasks.type = File
appender.tasks.name = tasks
appender.tasks.fileName = tasks.log
appender.tasks.layout.type = PatternLayout
appender.tasks.layout.pattern = %m%n
"""
"""Written by the executor itself, in its own folder: what it prints passes through its worker."""
TASK = r"task \S+ in stage \S+ \(TID (\d+)\)"
RUNNING, FINISHED = re.compile("Running " + TASK), re.compile("Finished " + TASK)


class Cluster:
    """The master, the workers, and the configuration of whoever asks them."""

    def __init__(self, site: Site, folder: Path, bucket: Path, hosts: Sequence[str]) -> None:
        self._site, self.folder = site, folder
        for name in ("events", "conf"):
            (folder / name).mkdir(parents=True)
        ground, port = site.address(GROUND), free_port()
        text = CONF.format(ground=ground, port=port, folder=folder, bucket=bucket)
        (folder / "conf" / "spark-defaults.conf").write_text(text)
        (folder / "conf" / "executor.properties").write_text(EXECUTOR_LOG)
        self._daemon(GROUND, "master.Master", "--port", str(port), "--webui-port", str(free_port()))
        self._wait_for(GROUND, "I have been elected leader", 1)
        self._workers = {
            host: self._daemon(
                host, "worker.Worker", "--cores", "1", "--memory", "600m", "--work-dir",
                str(folder / f"work-{host}"), "--webui-port", str(free_port()),
                f"spark://{ground}:{port}",
            )
            for host in hosts
        }  # fmt: skip
        self._wait_for(GROUND, "Registering worker", len(hosts))

    def env(self, place: str) -> dict[str, str]:
        """For a process of the cluster, or one that asks it."""
        return {
            "SPARK_HOME": str(HOME), "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_LOCAL_IP": self._site.address(place), "SPARK_DAEMON_MEMORY": "128m",
            "SPARK_DAEMON_JAVA_OPTS": LIGHT,
        }  # fmt: skip

    def _daemon(self, place: str, kind: str, *words: str) -> subprocess.Popen[bytes]:
        command = [str(HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}",
                   "--host", self._site.address(place), *words]  # fmt: skip
        return self._site.start(place, command, self._log(place), self.env(place))

    def _log(self, place: str) -> Path:
        return self.folder / f"spark-{place or 'master'}.log"

    def _wait_for(self, place: str, words: str, times: int) -> None:
        log = self._log(place)
        wait_until(lambda: log.read_text().count(words) >= times, what=f"{words!r} in {log}")

    def kill_working(self, host: str) -> None:
        """SIGKILL for a worker and its executors while one of these is at a task: it is stopped
        first, and nothing that it had not told by then is ever told."""
        worker = self._workers[host]
        wait_until(lambda: self._stopped_at_a_task(worker, host), what="a task to be killed at")
        kill_all(worker.pid)
        worker.wait()

    def _stopped_at_a_task(self, worker: subprocess.Popen[bytes], host: str) -> bool:
        if not self._at_work(host):
            return False
        pids = list(descendants(worker.pid))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        if self._at_work(host):
            return True
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        return False

    def _at_work(self, host: str) -> set[str]:
        """Tasks that executors of a worker have begun and not ended: they note before they tell."""
        logs = (self.folder / f"work-{host}").glob("*/*/tasks.log")
        said = "".join(log.read_text() for log in logs)
        return set(RUNNING.findall(said)) - set(FINISHED.findall(said))

    def events(self, kind: str) -> Iterator[dict[str, Any]]:
        """What all sessions that have ended noted of one kind, such as `SparkListenerTaskEnd`."""
        for log in sorted((self.folder / "events").rglob("*")):
            if log.is_file() and not log.name.startswith((".", "appstatus")):
                for line in log.read_text().splitlines():
                    event = json.loads(line)
                    if event["Event"] == kind:
                        yield event
