// Finds QR codes in pictures, for browsers that cannot by themselves. Loaded only there.
import jsQR from 'jsqr';

export function decode(picture: ImageData): string | undefined {
  return jsQR(picture.data, picture.width, picture.height, { inversionAttempts: 'dontInvert' })?.data || undefined;
}
