/** `prefork scale` */
import { ControlError } from '../../errors.ts';
import { command } from '../command.ts';

export const scale = command({
  name: 'scale',
  help: 'Change the number of workers: N, +N or -N',
  positionals: { amount: 'required' },
  async run({ amount }, { service }) {
    const found = await service();
    if (!/^[+-]?\d{1,4}$/.test(amount))
      throw new ControlError(`expected N, +N or -N, got ${JSON.stringify(amount.slice(0, 40))}`);
    const body = /^[+-]/.test(amount) ? { by: Number(amount) } : { to: Number(amount) };
    console.log(await found.scale(body));
  },
});
