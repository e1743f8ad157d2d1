// The camera: front or back, and a sentence when it cannot be had.
import { Trouble } from "./picture.js";

const REASONS = {
  NotAllowedError:
    "The camera was not allowed. Allow it in the browser's settings for this page, or choose a picture instead.",
  NotFoundError: "No camera was found. Choose a picture instead.",
  NotReadableError:
    "Another program is using the camera. Close it and try again, or choose a picture instead.",
};

export class Camera {
  facing = "user";
  stream;

  constructor(video) {
    this.video = video;
  }

  get on() {
    return this.stream !== undefined;
  }

  async start(facing = this.facing) {
    this.stop();
    if (!navigator.mediaDevices) {
      throw new Trouble("The camera needs a secure address: https, or this computer's own (localhost).");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: facing, width: { ideal: 1280 }, height: { ideal: 720 } },
      });
    } catch (error) {
      throw new Trouble(REASONS[error.name] ?? `The camera cannot be used (${error.message}).`);
    }
    this.facing = facing;
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  turn() {
    return this.start(this.facing === "user" ? "environment" : "user");
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = undefined;
    this.video.srcObject = null;
  }
}
