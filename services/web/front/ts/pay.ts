// Stripe's Payment Element: the card is typed into Stripe's own frame, and never comes near this page.
import type { Stripe, StripeConstructor, StripeElements } from '@stripe/stripe-js';

declare global {
  interface Window {
    Stripe?: StripeConstructor;
  }
}

const form = document.querySelector<HTMLFormElement>('#card-form');
if (form) void begin(form);

async function begin(form: HTMLFormElement): Promise<void> {
  try {
    const [constructor, secret] = await Promise.all([load(), clientSecret(form)]);
    const stripe = constructor(form.dataset.key ?? '');
    const elements = stripe.elements({ clientSecret: secret, appearance: { theme: isDark() ? 'night' : 'stripe' } });
    elements.create('payment').mount('#card');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void pay(form, stripe, elements);
    });
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
  }
}

// Stripe asks that its script is loaded from its own host, so that it is always the newest.
function load(): Promise<StripeConstructor> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = 'https://js.stripe.com/v3/';
    script.onload = () => (window.Stripe ? resolve(window.Stripe) : reject(new Error('The card form did not start.')));
    script.onerror = () => reject(new Error('The card form could not be loaded. Please check your connection.'));
    document.head.append(script);
  });
}

async function clientSecret(form: HTMLFormElement): Promise<string> {
  const answer = await fetch(form.dataset.intent ?? '', { method: 'POST' });
  if (!answer.ok) throw new Error('This order cannot be paid now. Please load the page again.');
  const { clientSecret } = (await answer.json()) as { clientSecret?: string };
  if (!clientSecret) throw new Error('This order is being paid already.');
  return clientSecret;
}

async function pay(form: HTMLFormElement, stripe: Stripe, elements: StripeElements): Promise<void> {
  const button = form.querySelector('button');
  if (button) button.disabled = true;
  const back = new URL(form.dataset.return ?? '', location.href).href;
  const { error } = await stripe.confirmPayment({ elements, confirmParams: { return_url: back } });
  tell(error.message ?? 'The payment was not made.');
  if (button) button.disabled = false;
}

function tell(text: string): void {
  const problem = document.querySelector<HTMLElement>('#card-problem');
  if (!problem) return;
  problem.textContent = text;
  problem.hidden = false;
}

function isDark(): boolean {
  return matchMedia('(prefers-color-scheme: dark)').matches;
}
