import re

from web_making import coded, noisy

from quietpixel.web.metrics import Metrics


def test_the_text_follows_the_format_of_prometheus(client):
    client.post("/v1/denoise", content=coded(noisy()))
    client.get("/something/else")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    name = r"[a-z_]+(\{([a-z]+=\"[^\"]*\",?)*\})?"
    for line in answer.text.splitlines():
        assert line.startswith("# ") or re.fullmatch(rf"{name} [-+.e\d]+", line), line
    counted = 'quietpixel_requests_total{method="POST",path="/v1/denoise",status="200"} 1'
    assert counted in answer.text
    assert 'path="other",status="404"} 1' in answer.text
    assert 'quietpixel_pixels_total{model="photo"} 2400' in answer.text
    assert "quietpixel_working 0" in answer.text
    assert float(re.search(r"\nprocess_resident_memory_bytes (\S+)", answer.text)[1]) > 1e7


def test_buckets_add_up():
    metrics = Metrics()
    for seconds in (0.001, 0.03, 0.03, 400):
        metrics.seconds.labels("/x").observe(seconds)
    text = metrics.to_text().decode()
    assert 'seconds_bucket{le="0.005",path="/x"} 1' in text
    assert 'seconds_bucket{le="0.05",path="/x"} 3' in text
    assert 'seconds_bucket{le="60.0",path="/x"} 3' in text
    assert 'seconds_bucket{le="+Inf",path="/x"} 4' in text
    assert 'seconds_count{path="/x"} 4' in text
    assert 'seconds_sum{path="/x"} 400.061' in text


def test_labels_are_escaped():
    metrics = Metrics()
    metrics.pixels.labels('a"b\\c\nd').inc()
    assert r'{model="a\"b\\c\nd"} 1' in metrics.to_text().decode()


def test_clients_cannot_add_series(client):
    for number in range(5):
        client.request(f"ODD{number}", f"/path/{number}")
    text = client.get("/metrics").text
    assert text.count("quietpixel_requests_total{") <= 2
