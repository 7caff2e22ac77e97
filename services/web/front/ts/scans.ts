// The last scans of this device at one door. They stay in the browser, also when the page is opened anew.

/** A check-in, as the API names it. */
export interface CheckIn {
  order: string;
  pass: string;
  at: string;
}

interface Scan {
  at: number;
  verdict: string;
  what: string;
  checkIn?: CheckIn;
  undone?: boolean;
}

const KEPT = 20;
// Whoever opens the same door tomorrow begins anew.
const FOR = 24 * 3600 * 1000;

const WORDS: Record<string, [string, string]> = { yes: ['Yes', 'good'], no: ['No', 'bad'], undone: ['Undone', 'waiting'] };

export class LastScans {
  private readonly name: string;
  private scans: Scan[];

  constructor(
    private readonly list: HTMLElement,
    private readonly row: HTMLTemplateElement,
    door: string,
    private readonly undo: (checkIn: CheckIn) => void,
  ) {
    this.name = `docket.scans:${door}`;
    this.scans = this.read();
    this.show();
  }

  /** Notes a verdict. Only an admission of this device has an Undo here. */
  add(verdict: HTMLElement, checkIn: CheckIn | undefined): void {
    const { verdict: kind = 'no', pass } = verdict.dataset;
    const text = verdict.querySelector('[data-text]')?.textContent ?? '';
    const what = kind === 'yes' && pass ? pass : [pass, text].filter(Boolean).join(': ');
    this.scans.unshift({ at: Date.now(), verdict: kind, what, checkIn: kind === 'yes' ? checkIn : undefined });
    this.keep();
  }

  /** Notes that a check-in was undone. */
  undone(checkIn: CheckIn): void {
    const same = (scan: Scan) => scan.checkIn?.pass === checkIn.pass && scan.checkIn.at === checkIn.at;
    this.scans.filter(same).forEach((scan) => (scan.undone = true));
    this.keep();
  }

  private read(): Scan[] {
    try {
      const kept = JSON.parse(localStorage.getItem(this.name) ?? '[]') as Scan[];
      return kept.filter((scan) => Date.now() - scan.at < FOR);
    } catch {
      return [];
    }
  }

  private keep(): void {
    this.scans.length = Math.min(this.scans.length, KEPT);
    try {
      localStorage.setItem(this.name, JSON.stringify(this.scans));
    } catch {
      // A browser that keeps nothing shows what was scanned since the page was opened.
    }
    this.show();
  }

  private show(): void {
    this.list.hidden = this.scans.length === 0;
    this.list.querySelector('ul')?.replaceChildren(...this.scans.map((scan) => this.rowOf(scan)));
  }

  private rowOf(scan: Scan): Node {
    const row = this.row.content.cloneNode(true) as DocumentFragment;
    const part = <T extends HTMLElement>(selector: string) => row.querySelector<T>(selector);
    const [title, time, tag, button] = [part('.row-title'), part('.row-main .row-sub'), part('.tag'), part<HTMLButtonElement>('button')];
    const [word, tone] = WORDS[scan.undone ? 'undone' : scan.verdict] ?? ['', 'quiet'];
    if (title) title.textContent = scan.what;
    if (time) time.textContent = new Date(scan.at).toLocaleTimeString();
    if (tag) tag.textContent = word;
    tag?.classList.add(tone);
    const { checkIn } = scan;
    if (button && checkIn && !scan.undone) {
      button.hidden = false;
      button.setAttribute('aria-label', `Undo ${scan.what}`);
      button.addEventListener('click', () => this.undo(checkIn));
    }
    return row;
  }
}
