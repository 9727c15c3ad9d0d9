"""BlazePose written down plainly, one number after the other: what our code is compared with.

Nothing of `ttflow.pose` is used. The pixels of a crop are OpenCV's in both.
"""

import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

Square = tuple[float, float, float, float]
"""Centre x, y, side, angle."""


def load(content: bytes):
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_content=content, num_threads=1)
    network.allocate_tensors()
    return network


def run(network, pixels: np.ndarray, *names: str) -> list[np.ndarray]:
    network.set_tensor(network.get_input_details()[0]["index"], pixels[np.newaxis])
    network.invoke()
    where = {each["name"]: each["index"] for each in network.get_output_details()}
    return [network.get_tensor(where[name]).ravel() for name in names]


def cut(picture: np.ndarray, square: Square, pixels: int, border: int) -> np.ndarray:
    origin, right, down = (back((u, v), square, pixels) for u, v in ((0, 0), (1, 0), (0, 1)))
    matrix = [
        [right[0] - origin[0], down[0] - origin[0], origin[0]],
        [right[1] - origin[1], down[1] - origin[1], origin[1]],
    ]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        picture, np.array(matrix), (pixels, pixels), flags=flags, borderMode=border
    )


def back(point: tuple[float, float], square: Square, pixels: int) -> tuple[float, float]:
    """A point of the crop in the picture."""
    x, y, side, angle = square
    u, v = (float(value) / pixels - 0.5 for value in point)
    return (
        x + side * (u * math.cos(angle) - v * math.sin(angle)),
        y + side * (u * math.sin(angle) + v * math.cos(angle)),
    )


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-float(value)))


def around(hips: tuple[float, float], end: tuple[float, float]) -> Square:
    """The person's square: a vector that points up in the picture is no rotation."""
    side = 2 * math.dist(hips, end) * 1.25
    return (*hips, side, math.pi / 2 - math.atan2(-(end[1] - hips[1]), end[0] - hips[0]))


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def detect(network, picture: np.ndarray) -> Square | None:
    """The square of the largest person with a score of 0.5, else of the surest above 0.3."""
    height, width = picture.shape[:2]
    whole = (width / 2, height / 2, float(max(width, height)), 0.0)
    pixels = cut(picture, whole, 224, cv2.BORDER_CONSTANT).astype(np.float32)
    boxes, logits = run(
        network, pixels * np.float32(2 / 255) - np.float32(1), "Identity", "Identity_1"
    )
    seen, number = [], 0
    for cells, per_cell in ((28, 2), (14, 2), (7, 6)):
        for row in range(cells):
            for column in range(cells):
                for _ in range(per_cell):
                    score = sigmoid(max(-100, min(100, logits[number])))
                    if score >= 0.3:
                        x, y = (column + 0.5) / cells, (row + 0.5) / cells
                        box = [float(value) / 224 for value in boxes[12 * number :][:12]]
                        left, top = x + box[0] - box[2] / 2, y + box[1] - box[3] / 2
                        face = (left, top, left + box[2], top + box[3])
                        seen.append((score, face, (x + box[4], y + box[5], x + box[6], y + box[7])))
                    number += 1
    assert number == 2254
    seen.sort(key=lambda each: -each[0])
    persons = []
    while seen:
        same = [each for each in seen if each is seen[0] or iou(seen[0][1], each[1]) > 0.3]
        total = sum(each[0] for each in same)
        mean = [sum(each[0] * each[2][i] for each in same) / total for i in range(4)]
        hips = back((mean[0] * 224, mean[1] * 224), whole, 224)
        end = back((mean[2] * 224, mean[3] * 224), whole, 224)
        persons.append((seen[0][0], around(hips, end)))
        seen = [each for each in seen if each not in same]
    sure = [square for score, square in persons if score >= 0.5]
    if sure:
        return max(sure, key=lambda square: square[2])
    return persons[0][1] if persons else None


def refine(x: float, y: float, heat: np.ndarray, landmark: int) -> tuple[float, float]:
    """The mean place of what the map of 64 x 64 cells holds near a landmark, in cells."""
    column, row = int(x), int(y)
    if not (0 <= column < 64 and 0 <= row < 64):
        return x, y
    total = mean_x = mean_y = largest = 0.0
    for r in range(max(0, row - 3), min(64, row + 4)):
        for c in range(max(0, column - 3), min(64, column + 4)):
            weight = sigmoid(heat[(r * 64 + c) * 39 + landmark])
            largest = max(largest, weight)
            total += weight
            mean_x += weight * c
            mean_y += weight * r
    return (mean_x / total, mean_y / total) if largest >= 0.5 else (x, y)


def look(network, picture: np.ndarray, square: Square):
    """Points, world points, visibilities, flag and the next square."""
    pixels = cut(picture, square, 256, cv2.BORDER_REPLICATE).astype(np.float32)
    names = ("Identity", "Identity_4", "Identity_1", "Identity_3")
    values, world, flag, heat = run(network, pixels * np.float32(1 / 255), *names)
    points = []
    for i in range(35):
        x, y = refine(float(values[5 * i]) / 4, float(values[5 * i + 1]) / 4, heat, i)
        points.append(back((4 * x, 4 * y), square, 256))
    visibility = [sigmoid(values[5 * i + 3]) for i in range(33)]
    turned = []
    for i in range(33):
        x, y, z = (float(value) for value in world[3 * i : 3 * i + 3])
        cosine, sine = math.cos(square[3]), math.sin(square[3])
        turned.append((cosine * x - sine * y, sine * x + cosine * y, z))
    return points[:33], turned, visibility, float(flag[0]), around(points[33], points[34])


def follow(pictures: Iterable[np.ndarray], weights: dict[str, bytes]) -> Iterator[tuple | None]:
    """Per picture what `look` sees of the person, None where there is none."""
    detector = load(weights["pose_detection.tflite"])
    landmarks = load(weights["pose_landmark_full.tflite"])
    square = None
    for picture in pictures:
        seen = None if square is None else look(landmarks, picture, square)
        if seen is None or seen[3] < 0.5:
            square = detect(detector, picture)
            seen = None if square is None else look(landmarks, picture, square)
        if seen is not None and seen[3] < 0.5:
            seen = None
        square = None if seen is None else seen[4]
        yield seen
