// The camera: front or back, and a sentence when it cannot be had.
import { Trouble } from "./picture";

export type Facing = "user" | "environment";

const REASONS: Record<string, string> = {
  NotAllowedError: "The camera was not allowed. Allow it in the browser's settings for this page, or choose a picture instead.",
  NotFoundError: "No camera was found. Choose a picture instead.",
  NotReadableError: "Another program is using the camera. Close it and try again, or choose a picture instead.",
};

export class Camera {
  facing: Facing = "user";
  private stream?: MediaStream;

  constructor(private video: HTMLVideoElement) {}

  get on(): boolean {
    return this.stream !== undefined;
  }

  async start(facing: Facing = this.facing): Promise<void> {
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
      throw new Trouble(REASONS[(error as Error).name] ?? `The camera cannot be used (${(error as Error).message}).`);
    }
    this.facing = facing;
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  turn(): Promise<void> {
    return this.start(this.facing === "user" ? "environment" : "user");
  }

  stop(): void {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = undefined;
    this.video.srcObject = null;
  }
}
