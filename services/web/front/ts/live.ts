// Pages that change by themselves.
//
// What a person does with a page stays as they left it: news change neither what stands in a field nor what was opened, and while a
// part is busy (busy.ts), they wait; of several, the newest is shown then.
//
// A page's stream of events that is refused at first is asked for again, ever more seldom. One that has begun and breaks off is
// the business of htmx's extension, which does not try again what never began.
import htmx from 'htmx.org';
import { isBusy, whenLetGo } from './busy';

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

export function holdBackWhileBusy(): void {
  const waiting = new Map<Element, Parameters<typeof htmx.swap>[0]>();
  document.addEventListener('htmx:before:swap', (event) => {
    const { ctx } = event.detail;
    const [page, text] = [ctx.sourceElement, ctx.text];
    if (!page || text === undefined || !isBusy(page)) return;
    event.preventDefault();
    waiting.set(page, { ...ctx, text });
  });
  whenLetGo(() => {
    const news = [...waiting];
    waiting.clear();
    news.filter(([page]) => page.isConnected).forEach(([, ctx]) => void htmx.swap(ctx));
  });
}

const FIELDS: Record<string, string> = { value: 'input:not([type=hidden])', checked: 'input', selected: 'option', open: 'details, dialog' };

export function leaveAloneWhatPeopleDo(): void {
  htmx.registerExtension('leave-alone', {
    htmx_before_morph_attr: (element: Element, { attrName }: { attrName: string }) => {
      const whose = FIELDS[attrName];
      return whose === undefined || !element.matches(whose);
    },
  });
}
