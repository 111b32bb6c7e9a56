import type { Role } from "../../live/types";

export interface Account {
  name: string; display_name: string; role: Role; enabled: boolean; created_at: string | null; last_at: string | null; locked_until: string | null;
  sessions: number; must_change: boolean;
}
export interface Token { name: string; role: Role; created_at: string; token?: string }
export const ROLES: readonly Role[] = ["viewer", "operator", "engineer", "administrator"];
