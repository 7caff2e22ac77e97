// What Docket's pages use of Stripe.js, written from Stripe's documentation of the Payment Element. Cards are known by their number
// alone; api.stripe.com is played by the test, which asks the stand-in.
(() => {
  const API = 'https://api.stripe.com/v1';

  async function call(method, path, fields) {
    const query = new URLSearchParams(fields);
    const answer = await fetch(method === 'GET' ? `${API}${path}?${query}` : `${API}${path}`, method === 'GET' ? {} : { method, body: query });
    return answer.json();
  }

  // The dialogue of 3-D Secure lies over the whole page until the buyer has answered.
  function dialogue() {
    const dialogue = document.createElement('dialog');
    dialogue.append('Your bank asks whether it is you. ');
    document.body.append(dialogue);
    dialogue.showModal();
    return new Promise((resolve) => {
      for (const [name, outcome] of [['Complete', 'succeeded'], ['Fail', 'failed']]) {
        const button = document.createElement('button');
        button.append(name);
        button.onclick = () => {
          dialogue.remove();
          resolve(outcome);
        };
        dialogue.append(button);
      }
    });
  }

  function paymentElement() {
    const heard = {};
    let frame;
    return {
      on(event, hear) {
        heard[event] = hear;
      },
      mount(selector) {
        frame = document.createElement('iframe');
        frame.title = 'Secure payment input frame';
        (typeof selector === 'string' ? document.querySelector(selector) : selector).append(frame);
        const field = frame.contentDocument.createElement('input');
        field.setAttribute('aria-label', 'Card number');
        frame.contentDocument.body.append(field);
        queueMicrotask(() => heard.ready?.({ elementType: 'payment' }));
      },
      number: () => frame?.contentDocument?.querySelector('input')?.value ?? '',
    };
  }

  window.Stripe = (key) => ({
    elements({ clientSecret }) {
      const elements = {
        clientSecret,
        create: () => (elements.payment = paymentElement()),
        async submit() {
          if (elements.payment.number()) return {};
          return { error: { type: 'validation_error', code: 'incomplete_number', message: 'Your card number is incomplete.' } };
        },
      };
      return elements;
    },
    async confirmPayment({ elements, confirmParams, redirect }) {
      const { clientSecret, payment } = elements;
      const intent = `/payment_intents/${clientSecret.split('_secret_')[0]}`;
      const wish = { key, client_secret: clientSecret, return_url: confirmParams.return_url, use_stripe_sdk: 'true' };
      const card = { 'payment_method_data[type]': 'card', 'payment_method_data[card][number]': payment.number() };
      let answer = await call('POST', `${intent}/confirm`, { ...wish, ...card });
      if (answer.error) return { error: answer.error };
      if (answer.status === 'requires_action') {
        await call('POST', `${intent}/authenticate`, { key, outcome: await dialogue() });
        answer = await call('GET', intent, { key, client_secret: clientSecret });
      }
      if (answer.status === 'requires_payment_method') return { error: answer.last_payment_error };
      if (redirect === 'if_required') return { paymentIntent: answer };
      location.assign(confirmParams.return_url);
      return new Promise(() => {});
    },
  });
})();
