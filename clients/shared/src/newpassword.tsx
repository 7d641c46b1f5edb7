import { useEffect, useState, type InputEvent } from 'react';
import { Field } from './act';
import { useMutation } from './backend';
import type { PasswordStrengthInput, RatePasswordMutation } from './gql/graphql';
import { RatePassword } from './operations';
import { wordsFor } from './words';

type Account = { email?: string; username?: string | null; name?: string };
type Rating = RatePasswordMutation['passwordStrength'];

const PAUSE = 400; // in typing, in ms

// NewPassword is a field for a new password. It rates the password when typing pauses. Names of the account make a
// password easy to guess; they come from account, or else from the other fields of the form.
export function NewPassword({ name, label, account }: { name: string; label: string; account?: Account }) {
  const rate = useMutation(RatePassword);
  const [typed, setTyped] = useState<PasswordStrengthInput>();
  const [rating, setRating] = useState<Rating>();
  useEffect(() => {
    setRating(undefined);
    if (!typed?.password) return;
    let current = true;
    const timer = setTimeout(() => {
      rate({ input: typed }).then(
        ({ passwordStrength }) => { if (current) setRating(passwordStrength); },
        () => {}, // the form works without a rating
      );
    }, PAUSE);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [typed]);

  function onInput({ currentTarget: { form, value } }: InputEvent<HTMLInputElement>) {
    const { email, username, name } = account ?? (Object.fromEntries(new FormData(form!)) as Account);
    setTyped({ password: value, email, username, name });
  }
  const hint = <span role="status">{rating ? <Strength rating={rating} /> : 'At least 8 characters.'}</span>;
  return <Field name={name} label={label} hint={hint} type="password" autoComplete="new-password" onInput={onInput} />;
}

const grades = ['Very weak.', 'Weak.', 'Fair.', 'Good.', 'Strong.'];

function Strength({ rating: { score, reason, message } }: { rating: Rating }) {
  return (
    <>
      <meter aria-hidden max={4} low={2} high={3} optimum={4} value={score} /> {reason ? '' : `${grades[score]} `}
      {message && wordsFor({ reason: reason ?? undefined, message })}
    </>
  );
}
