"""A crowd that works through the server gives the dataset that its table gives."""

from pathlib import Path

from ttdata.annotate.exchange.export import export_project
from ttdata.commands.curate import curate_source

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
STROKES = {
    "ann": {"a": [(5, 28, HIT)], "b": [(3, 24, LOOP)], "c": [(8, 33, HIT)]},
    "bob": {"a": [(6, 27, HIT)], "b": [(4, 25, HIT)], "c": [(9, 34, HIT), (1, 8, LOOP)]},
}
COLUMNS = ["action_id", "video_id", "start_frame", "end_frame", "label", "status", "num_annotators"]


def write_table(source: Path) -> Path:
    """The same strokes as a crowd table beside the facts of the videos."""
    lines = ["video_id,annotator_id,start_frame,end_frame,label"]
    for person, videos in STROKES.items():
        for video_id, strokes in videos.items():
            lines += [f"{video_id},{person},{s},{e},{label}" for s, e, label in strokes]
    source.mkdir()
    (source / "annotations.csv").write_text("\n".join(lines))
    facts = [f"{name},30,{40 + place},48,32" for place, name in enumerate("abc")]
    (source / "videos.csv").write_text("\n".join(["video_id,fps,num_frames,width,height", *facts]))
    return source


def test_a_crowd_through_the_server_gives_the_actions_of_its_table(
    served, hand, tmp_path: Path
) -> None:
    for number, (person, videos) in enumerate(STROKES.items(), 1):
        with served.client(person) as browser:
            one = hand(browser, number)
            for _ in videos:
                one.open()
                place = one.data()["video"]["num_frames"] - 40  # `a` has 40 frames, `b` 41
                one.finish(*videos["abc"[place]])
    export_project(served.project, tmp_path / "export", "tess")
    found = {
        name: curate_source(path, tmp_path / f"{name}_dataset").dataset.actions.select(COLUMNS)
        for name, path in (
            ("table", write_table(tmp_path / "table")),
            ("export", tmp_path / "export"),
            ("project", served.project.folder),
        )
    }
    assert found["table"]["status"].to_list() == ["accepted", "set_aside", "accepted"]
    assert found["export"].equals(found["table"])
    assert found["project"].equals(found["table"])
