export const greeting = 'served';
