// Elements of the panel.
const { React } = window;
const h = React?.createElement;

// useAction runs one action at a time and keeps its error.
export function useAction(action) {
  const [{ busy, error }, set] = React.useState({ busy: false, error: '' });
  const run = async (...args) => {
    set({ busy: true, error: '' });
    try {
      await action(...args);
      set({ busy: false, error: '' });
    } catch (failure) {
      set({ busy: false, error: failure.message });
    }
  };
  return { busy, error, run };
}

export const Problem = ({ error }) => error && h('p', { className: 'account-error', role: 'alert' }, error);

export const Button = ({ onClick, busy, children, ...props }) => h('button', {
  type: 'button', className: 'graphiql-button', disabled: busy, onClick, ...props,
}, children);

export function Field({ label, hint, ...props }) {
  const id = React.useId();
  return h('div', { className: 'account-field' },
    h('label', { htmlFor: id }, label),
    h('input', { id, required: true, 'aria-describedby': hint && `${id}hint`, ...props }),
    hint && h('small', { id: `${id}hint` }, hint));
}

// Section is a part of the panel that starts closed.
export const Section = ({ title, children }) => h('details', { className: 'account-section' }, h('summary', null, title), children);

// useForm returns an action and the handler that calls it with the values of a form.
export function useForm(action) {
  const { run, ...state } = useAction(action);
  const submit = (event) => {
    event.preventDefault();
    run(Object.fromEntries(new FormData(event.currentTarget)));
  };
  return { submit, ...state };
}

// download lets the browser save a text as a file.
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

export const Submit = ({ busy, children }) => h('button', { type: 'submit', className: 'graphiql-button account-main', disabled: busy }, children);
