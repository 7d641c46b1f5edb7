import { createContext, useContext, useEffect, useId, useRef, useState, type InputEvent, type ReactNode, type SubmitEvent } from 'react';
import { Refusal } from './refusal';
import { whenToRetry, wordsFor } from './words';

// StepUpContext provides a function that asks for the user's credentials and returns whether they were proved.
export const StepUpContext = createContext<() => Promise<boolean>>(async () => false);

// useAct runs an action that the server can refuse, and keeps its outcome.
function useAct<A>(run: (argument: A) => Promise<void>) {
  const askForProof = useContext(StepUpContext);
  const [state, setState] = useState<{ busy?: boolean; done?: boolean; refusal?: Refusal }>({});

  async function act(argument: A) {
    setState({ busy: true });
    try {
      await run(argument).catch(async (error) => {
        if (!needsProof(error) || !(await askForProof())) throw error;
        await run(argument);
      });
      setState({ done: true });
    } catch (error) {
      if (!(error instanceof Refusal)) {
        setState({});
        throw error;
      }
      setState({ refusal: error });
    }
  }
  return { act, ...state };
}

const needsProof = ({ code, reason }: Refusal) => code === 'FORBIDDEN' && (reason === 'STEP_UP_REQUIRED' || reason === 'SECOND_FACTOR_REQUIRED');

export function Problem({ refusal }: { refusal: Refusal }) {
  return (
    <p className="problem" role="alert">
      {wordsFor(refusal)}{whenToRetry(refusal)}
      {refusal.code === 'INTERNAL_SERVER_ERROR' && <small> Request id: {refusal.requestId}</small>}
    </p>
  );
}

type ButtonProps = { run: () => Promise<void>; done?: string; children: ReactNode; className?: string; 'aria-label'?: string };

export function Button({ run, done, children, ...button }: ButtonProps) {
  const { act, busy, refusal, done: isDone } = useAct<void>(run);
  return (
    <>
      <button type="button" disabled={busy} onClick={() => act()} {...button}>{children}</button>
      {refusal && <Problem refusal={refusal} />}
      {isDone && done && <p className="done" role="status">{done}</p>}
    </>
  );
}

const RefusalContext = createContext<Refusal | undefined>(undefined);

type FormProps = {
  button: string;
  className?: string;
  done?: string;
  submit: (values: Record<string, string>) => Promise<void>;
  children: ReactNode;
};

// Form shows each problem at its field and focuses the first of these fields. Other problems appear above the button.
export function Form({ button, className, done, submit, children }: FormProps) {
  const form = useAct(submit);
  const ref = useRef<HTMLFormElement>(null);
  useEffect(() => { if (form.refusal) ref.current!.querySelector<HTMLElement>('[aria-invalid=true]')?.focus(); }, [form.refusal]);

  function onSubmit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    void form.act(Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>);
  }
  return (
    <form ref={ref} onSubmit={onSubmit} noValidate>
      <RefusalContext value={form.refusal}>{children}</RefusalContext>
      {form.refusal && !form.refusal.fields && <Problem refusal={form.refusal} />}
      <button className={className} disabled={form.busy}>{button}</button>
      {form.done && done && <p className="done" role="status">{done}</p>}
    </form>
  );
}

type FieldProps = {
  name: string;
  label: string;
  hint?: ReactNode;
  type?: string;
  inputMode?: 'numeric';
  autoComplete?: string;
  defaultValue?: string;
  onInput?: (event: InputEvent<HTMLInputElement>) => void;
};

function useProblem(name: string) {
  return useContext(RefusalContext)?.fields?.find(({ path }) => path === `input.${name}`);
}

// ProblemOf shows the problem of an input that has no field, such as the token of a link.
export function ProblemOf({ name }: { name: string }) {
  const problem = useProblem(name);
  return problem && <p className="problem" role="alert">{wordsFor(problem)}</p>;
}

// Field is an input with the name of the corresponding field in the operation's input.
export function Field({ name, label, hint, ...input }: FieldProps) {
  const id = useId();
  const problem = useProblem(name);
  return (
    <label>
      <span id={`${id}label`}>{label}</span>
      <input name={name} aria-labelledby={`${id}label`} aria-describedby={`${id}note`} aria-invalid={!!problem} spellCheck={false} autoCapitalize="none" {...input} />
      {problem ? <small id={`${id}note`} className="problem" role="alert">{wordsFor(problem)}</small> : hint && <small id={`${id}note`}>{hint}</small>}
    </label>
  );
}
