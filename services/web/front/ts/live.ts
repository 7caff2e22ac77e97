// A page's stream of events that is refused at first is asked for again, ever more seldom. One that has begun and breaks off is
// the business of htmx's extension, which does not try again what never began.
import htmx from 'htmx.org';

const FIRST_WAIT = 2000;
const LONGEST_WAIT = 60_000;

const refusals = new WeakMap<Element, number>();

export function keepAskingForStreams(): void {
  document.addEventListener('htmx:finally:request', ({ detail: { ctx } }) => {
    const element = ctx.sourceElement;
    const stream = element.getAttribute('hx-sse:connect');
    if (!stream || !mayComeYet(ctx.response?.status)) return;
    const refused = refusals.get(element) ?? 0;
    refusals.set(element, refused + 1);
    // Pages that were refused together do not come again together.
    const wait = Math.min(FIRST_WAIT * 2 ** refused, LONGEST_WAIT) * (0.7 + 0.6 * Math.random());
    setTimeout(() => {
      if (element.isConnected) void htmx.ajax('GET', stream, { source: element });
    }, wait);
  });
}

// No answer at all, or one that says "not now".
function mayComeYet(status: number | undefined): boolean {
  return status === undefined || status === 429 || status >= 500;
}
