// What the door hears and feels: one high tone for yes, two low ones for no.

let audio: AudioContext | undefined;

/** To be called when somebody touches the page: browsers allow no sound before. */
export function allowSound(): void {
  audio ??= new AudioContext();
  void audio.resume();
}

export function signal(yes: boolean): void {
  if (yes) tone(1175, 0, 0.14, 'sine');
  else [0, 0.24].forEach((at) => tone(196, at, 0.18, 'square'));
  // Not every browser has it.
  navigator.vibrate?.(yes ? 80 : [180, 80, 180]);
}

function tone(pitch: number, at: number, length: number, type: OscillatorType): void {
  if (audio?.state !== 'running') return;
  const [begin, end] = [audio.currentTime + at, audio.currentTime + at + length];
  const [oscillator, volume] = [audio.createOscillator(), audio.createGain()];
  oscillator.type = type;
  oscillator.frequency.value = pitch;
  volume.gain.setValueAtTime(0.25, begin);
  volume.gain.exponentialRampToValueAtTime(0.001, end);
  oscillator.connect(volume).connect(audio.destination);
  oscillator.start(begin);
  oscillator.stop(end);
}
