// A field for a new password, with the server's rating.
import { Field } from './parts.js';

const { React } = window;
const h = React?.createElement;

const rate = 'mutation ($input: PasswordStrengthInput!) { passwordStrength(input: $input) { score reason message } }';
const grades = ['Very weak.', 'Weak.', 'Fair.', 'Good.', 'Strong.'];
const pause = 400; // in typing, in ms
const advice = 'All characters are allowed. Several words are best.';

// NewPassword rates the password when typing pauses. account has names that make a password easy to guess; by default it
// is read from the other fields of the form.
export function NewPassword({ session, account, hint = advice, ...props }) {
  const [typed, setTyped] = React.useState();
  const [rating, setRating] = React.useState();
  React.useEffect(() => {
    setRating(undefined);
    if (!typed?.password) return undefined;
    let current = true;
    const timer = setTimeout(() => {
      session.call(rate, typed).then(
        ({ passwordStrength }) => { if (current) setRating(passwordStrength); },
        () => {}, // the form works without a rating
      );
    }, pause);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [typed]);
  const onInput = ({ target: { form, value } }) => {
    const { email, username, name } = account ?? Object.fromEntries(new FormData(form));
    setTyped({ password: value, email, username, name });
  };
  return h(Field, {
    label: 'Password', type: 'password', autoComplete: 'new-password', onInput, ...props,
    hint: h('span', { role: 'status' }, rating ? describe(rating) : hint),
  });
}

function describe({ score, reason, message }) {
  return [
    h('meter', { key: 'meter', 'aria-hidden': true, max: 4, low: 2, high: 3, optimum: 4, value: score }),
    ` ${[!reason && grades[score], message].filter(Boolean).join(' ')}`,
  ];
}
