import re

from web_making import coded, noisy

from quietpixel.web.metrics import Metrics


def test_text_is_what_prometheus_reads(client):
    client.post("/v1/denoise", content=coded(noisy()))
    client.get("/something/else")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    name = r"[a-z_]+(\{([a-z]+=\"[^\"]*\",?)*\})?"
    for line in answer.text.splitlines():
        assert line.startswith("# ") or re.fullmatch(rf"{name} [-+.e\d]+", line), line
    told = 'quietpixel_requests_total{method="POST",path="/v1/denoise",status="200"} 1'
    assert told in answer.text
    assert 'path="other",status="404"} 1' in answer.text
    assert 'quietpixel_pixels_total{model="photo"} 2400' in answer.text
    assert "quietpixel_working 0" in answer.text
    assert float(re.search(r"resident_memory_bytes (\d+)", answer.text)[1]) > 1e7


def test_buckets_add_up():
    metrics = Metrics()
    for seconds in (0.001, 0.03, 0.03, 400):
        metrics.observe(seconds, path="/x")
    text = metrics.text()
    assert 'seconds_bucket{path="/x",le="0.005"} 1' in text
    assert 'seconds_bucket{path="/x",le="0.05"} 3' in text
    assert 'seconds_bucket{path="/x",le="60"} 3' in text
    assert 'seconds_bucket{path="/x",le="+Inf"} 4' in text
    assert 'seconds_count{path="/x"} 4' in text
    assert 'seconds_sum{path="/x"} 400.061' in text


def test_labels_are_escaped():
    metrics = Metrics()
    metrics.count("quietpixel_pixels_total", model='a"b\\c\nd')
    assert r'{model="a\"b\\c\nd"} 1' in metrics.text()


def test_strangers_make_no_new_labels(client):
    for number in range(5):
        client.request(f"ODD{number}", f"/path/{number}")
    text = client.get("/metrics").text
    assert text.count("quietpixel_requests_total{") <= 2
