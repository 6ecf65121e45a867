/** What workers say of the connections that have moved between them, added up. */
import { type KeptReason, keptReasons, type MigrationDelta, type MigrationStatus } from '../../protocol/migration.ts';

export class MigrationTally {
  #moved = 0;
  #lost = 0;
  readonly #kept = new Map<KeptReason, number>();

  add({ taken, lost, kept }: MigrationDelta): void {
    this.#moved += taken;
    this.#lost += lost;
    for (const [reason, count] of kept) this.#kept.set(reason, (this.#kept.get(reason) ?? 0) + count);
  }

  /** @param on whether connections outlive their workers at the moment */
  status(on: boolean): MigrationStatus {
    const kept = keptReasons.flatMap((reason) => {
      const count = this.#kept.get(reason);
      return count === undefined ? [] : [[reason, count]];
    });
    return { on, moved: this.#moved, lost: this.#lost, kept: Object.fromEntries(kept) as MigrationStatus['kept'] };
  }
}
