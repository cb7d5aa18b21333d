"""`manage.py probe` through a real Caddy and a real nginx, as they are in the examples,
and through an nginx that is not."""

from pathlib import Path

import pytest

from tests.deploy.proxies import caddy, nginx
from tests.integration.test_probe import failure, probe
from tests.support.service import Service

SLOW_ENOUGH = "2"
"""Seconds for a hop: what nginx holds back would come with the stream's end."""


@pytest.mark.parametrize("front", [caddy, nginx])
def test_probe__through_a_proxy_with_tls__it_works(
    front: object, served: Service, tmp_path: Path
) -> None:
    # Given
    assert callable(front)
    with front([f"127.0.0.1:{served.port}"], tmp_path) as proxy:
        # When
        done = probe(proxy.url, SSL_CERT_FILE=str(proxy.authority))

        # Then
        assert done.returncode == 0, done
        where = proxy.url.removeprefix("https://")
        assert f" · received at {where} in " in done.stdout

        # When: the client does not know who signed the certificate
        line = failure(probe(proxy.url))

        # Then
        assert f"The certificate of {where} is not trusted" in line
        assert "SSL_CERT_FILE" in line

        # When: TLS is not spoken where it is expected
        line = failure(probe(proxy.url.replace("https:", "http:")))

        # Then
        assert "400" in line
        assert "https" in line.lower()


def test_probe__nginx_that_buffers__says_so(served: Service, tmp_path: Path) -> None:
    # Given
    buffering = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
    upstream = f"127.0.0.1:{served.port}"
    changes = ("proxy_buffering off;", buffering)
    with nginx([upstream], tmp_path, changes) as proxy:
        # When
        line = failure(
            probe(
                *(proxy.url, "--timeout", SLOW_ENOUGH),
                SSL_CERT_FILE=str(proxy.authority),
            )
        )

    # Then
    assert "of the stream's response" in line
    assert "nginx: proxy_buffering off; gzip off" in line


def test_probe__service_behind_nginx_gone__says_that_the_proxy_cannot_reach_it(
    tmp_path: Path,
) -> None:
    # Given
    with nginx(["127.0.0.1:1"], tmp_path) as proxy:
        # When
        line = failure(probe(proxy.url, SSL_CERT_FILE=str(proxy.authority)))

    # Then
    assert "The stream was answered with 502 by nginx" in line
    assert "cannot reach the service" in line


def test_probe__path_that_nginx_does_not_pass_on__says_so(
    served: Service, tmp_path: Path
) -> None:
    # Given
    with nginx([f"127.0.0.1:{served.port}"], tmp_path) as proxy:
        # When
        line = failure(probe(proxy.url + "/prefix", SSL_CERT_FILE=str(proxy.authority)))

    # Then
    assert "The stream was answered with 404 by nginx" in line
    assert "a prefix in front of /sse/" in line
