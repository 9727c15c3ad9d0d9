"""What a worker process does for poses: the clips of the video of one job."""

from collections.abc import Callable, Iterator, Mapping

from ttflow.jobs.job import Outcome, PoseJob, Progress
from ttflow.jobs.worker import attempt, watched


def watched_poses(job: PoseJob, weights: Mapping[str, bytes]) -> Iterator[Progress | Outcome]:
    """Run a job in a thread of its own and yield its progress; the last event is the outcome.

    Args: see `run_poses`.
    """
    return watched(job.video_id, lambda report: run_poses(job, weights, report))


def run_poses(
    job: PoseJob, weights: Mapping[str, bytes], on_frame: Callable[[int], None] | None = None
) -> Outcome:
    """Estimate and store the poses of one video; what goes wrong becomes the outcome's error.

    Args:
        job: what to do.
        weights: of the networks, by name.
        on_frame: called with the number of frames decoded so far.
    """
    return attempt(job, lambda: (_estimate(job, weights, on_frame), 0))


def _estimate(
    job: PoseJob, weights: Mapping[str, bytes], on_frame: Callable[[int], None] | None
) -> int:
    """Returns the number of decoded frames."""
    import cv2

    from ttflow.pose import blazepose
    from ttflow.pose.video import PoseClip, estimate_video
    from ttflow.shards.poses import write_poses

    cv2.setNumThreads(1)  # a task has a core
    clips = [
        PoseClip(clip.clip_id, stored, clip.region)
        for clip, stored in zip(job.clips, job.stored, strict=True)
    ]
    # A model keeps buffers, and a job has its own thread.
    model = blazepose.open_model(weights)
    hwaccel = job.config.hwaccel
    poses = estimate_video(
        job.path, clips, job.fps, model, job.pose, hwaccel=hwaccel, on_frame=on_frame
    )
    write_poses(job.file, poses)
    return job.expected_frames
