// The camera as a scanner: looks for a QR code a few times a second, for as long as it runs.

export type Detect = (video: HTMLVideoElement) => Promise<string | undefined>;

const LOOK_EVERY = 150;
// Enough for a QR code of a pass, and quick to search.
const LONGEST_SIDE = 800;

// Not in TypeScript's own library: https://wicg.github.io/shape-detection-api/
interface BarcodeDetector {
  detect(image: CanvasImageSource): Promise<{ rawValue: string }[]>;
}
interface BarcodeDetectorClass {
  new (options: { formats: string[] }): BarcodeDetector;
  getSupportedFormats(): Promise<string[]>;
}

/** The browser's own detector where there is one, else the script at `decoder`. */
export async function detector(decoder: string | undefined): Promise<Detect> {
  const own = (globalThis as { BarcodeDetector?: BarcodeDetectorClass }).BarcodeDetector;
  if (own && (await own.getSupportedFormats()).includes('qr_code')) {
    const found = new own({ formats: ['qr_code'] });
    return async (video) => (await found.detect(video))[0]?.rawValue || undefined;
  }
  if (!decoder) throw new Error('This browser cannot read QR codes.');
  const { decode } = (await import(decoder)) as typeof import('./decoder');
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  return async (video) => {
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    if (!context || !canvas.width || !canvas.height) return undefined;
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    return decode(context.getImageData(0, 0, canvas.width, canvas.height));
  };
}

export class Camera {
  private stream?: MediaStream;
  private timer?: ReturnType<typeof setTimeout>;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly found: (code: string) => void,
  ) {}

  get runs(): boolean {
    return this.stream !== undefined;
  }

  async start(detect: Detect): Promise<void> {
    const video = { facingMode: 'environment', width: { ideal: 1280 } };
    this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.video.srcObject = this.stream;
    this.video.hidden = false;
    await this.video.play();
    this.look(detect);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = undefined;
    this.video.srcObject = null;
    this.video.hidden = true;
  }

  get hasLight(): boolean {
    return this.track !== undefined && 'torch' in this.track.getCapabilities();
  }

  async light(on: boolean): Promise<void> {
    // TypeScript's library does not know `torch` of the Image Capture API.
    await this.track?.applyConstraints({ advanced: [{ torch: on } as MediaTrackConstraintSet] });
  }

  private get track(): MediaStreamTrack | undefined {
    return this.stream?.getVideoTracks()[0];
  }

  private look(detect: Detect): void {
    this.timer = setTimeout(async () => {
      // A picture that cannot be read is as good as one without a code.
      const code = await detect(this.video).catch(() => undefined);
      if (!this.runs) return;
      if (code) this.found(code);
      this.look(detect);
    }, LOOK_EVERY);
  }
}
