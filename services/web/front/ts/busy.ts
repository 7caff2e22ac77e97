// What is under way in a part of the page is not disturbed by news: they wait until the part lets go.

const LETS_GO = 'docket:lets-go';

/** Says that a part of the page which was busy (aria-busy) is so no more. */
export function letGo(part: Element): void {
  part.dispatchEvent(new CustomEvent(LETS_GO, { bubbles: true }));
}

/** Calls back when a part of the page lets go. */
export function whenLetGo(act: () => void): void {
  document.addEventListener(LETS_GO, act);
}

export function isBusy(page: Element): boolean {
  return page.matches('[aria-busy="true"]') || page.querySelector('[aria-busy="true"]') !== null;
}
